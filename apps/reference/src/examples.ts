/** Lines to paste into a shell. */
export function examples(origin: string): string {
  return [
    `curl -s ${origin}/api/v1/videos -H 'content-type: application/json' \\`,
    `  -d '{"title":"Sunrise","sourceUrl":"https://example.com/sunrise.mp4","durationMs":90000}'`,
    `curl -s '${origin}/api/v1/videos?limit=5'`,
    `curl -s -X POST ${origin}/api/v1/videos/ID/process   # and GET; pushed to room video:ID of ${origin.replace(/^http/, "ws")}/ws`,
    `TOKEN=$(curl -s ${origin}/token -d username=demo -d password=... | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
    `curl -s ${origin}/api/v1/crypto/encrypt -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"backend":"aes","data":"aGVsbG8="}'`,
    `curl -s ${origin}/api/v1/secrets -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"name":"mail","value":"hush"}'`,
    `curl -s ${origin}/health/resources`,
    `curl -s ${origin}/ -H 'accept: application/json'`,
  ].join("\n");
}

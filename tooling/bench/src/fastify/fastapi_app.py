# The same graph in FastAPI, with its dependencies as async functions (its faster form), and with the same request id,
# deadline and context as the other contenders, as plain ASGI (the cheapest way to have them). uvicorn writes the log.
import time
import uuid
from contextvars import ContextVar

from fastapi import Depends, FastAPI, Header

app = FastAPI()
context = ContextVar("context", default=None)


class RequestContext:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        request_id = given or str(uuid.uuid4()).encode()
        context.set({"request_id": request_id, "deadline": time.monotonic() + 30})

        async def send_with_id(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        await self.app(scope, receive, send_with_id)


app.add_middleware(RequestContext)


async def tenant(x_tenant: str = Header()):
    return x_tenant


async def token(x_token: str = Header()):
    return x_token


async def page(limit: int = 20):
    return {"limit": limit}


async def session(tenant: str = Depends(tenant)):
    opened = {"tenant": tenant, "open": True}
    try:
        yield opened
    finally:
        opened["open"] = False


async def user(token: str = Depends(token), session: dict = Depends(session)):
    return {"name": token, "tenant": session["tenant"]}


async def permissions(user: dict = Depends(user)):
    return [user["name"]]


async def repository(session: dict = Depends(session), user: dict = Depends(user)):
    return {"owner": f"{session['tenant']}/{user['name']}"}


async def filters(page: dict = Depends(page), user: dict = Depends(user)):
    return {"limit": page["limit"], "by": user["name"]}


async def service(repository: dict = Depends(repository), filters: dict = Depends(filters), permissions: list = Depends(permissions)):
    return [repository["owner"], str(filters["limit"]), str(len(permissions))]


async def audit(user: dict = Depends(user), tenant: str = Depends(tenant)):
    return f"{tenant}:{user['name']}"


@app.get("/di")
async def di(service: list = Depends(service), audit: str = Depends(audit)):
    return {"items": service, "audit": audit}

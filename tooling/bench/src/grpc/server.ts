// A raw server of grpc-js in a process of its own: node server.js. Says its port; ends with its input.
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { echoService } from "./service.ts";

const server = new Server();
server.addService(echoService, {
  Say: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, call.request),
});
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(port);
});
process.stdin.resume().once("end", () => process.exit());

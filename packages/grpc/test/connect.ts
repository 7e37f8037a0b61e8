import { createFileRegistry, fromBinary, type DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { PackageDefinition } from "@grpc/proto-loader";

/** A service of a .proto file as Connect understands it, from what proto-loader has read. */
export function serviceOf(loaded: PackageDefinition, from: string, name: string): DescService {
  const message = Object.values(loaded).find((one) => "fileDescriptorProtos" in one);
  const protos = message === undefined ? [] : (message.fileDescriptorProtos as Buffer[]); // a message has them
  const file = protos.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  // proto-loader writes the names of types without their package.
  const qualify = (type: string): string => (type === "" || type.startsWith(".") ? type : `.${from}.${type}`);
  for (const { messageType, service } of file) {
    for (const { field } of messageType) for (const one of field) one.typeName = qualify(one.typeName);
    for (const { method } of service) {
      for (const one of method) [one.inputType, one.outputType] = [qualify(one.inputType), qualify(one.outputType)];
    }
  }
  const registry = createFileRegistry({ $typeName: FileDescriptorSetSchema.typeName, file });
  const service = registry.getService(`${from}.${name}`);
  if (service === undefined) throw new Error("no such service");
  return service;
}

import { DTYPE_BFLOAT16, DTYPE_FLOAT32, DTYPE_INT32, DTYPE_INT64 } from './proto-schema.ts';

/** Numbers as the little-endian bytes that protobuf tensors hold, and back. */

export function toBytes(values: readonly number[], dtype: number): Uint8Array {
  const size = sizeOf(dtype);
  const bytes = new Uint8Array(values.length * size);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) {
    if (dtype === DTYPE_FLOAT32) view.setFloat32(index * size, value, true);
    else if (dtype === DTYPE_INT64) view.setBigInt64(index * size, BigInt(value), true);
    else view.setInt32(index * size, value, true);
  }
  return bytes;
}

/** bfloat16 is the upper half of a float32. */
export function fromBytes(bytes: Uint8Array, dtype: number): number[] {
  const size = sizeOf(dtype);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = (at: number): number => {
    switch (dtype) {
      case DTYPE_FLOAT32:
        return view.getFloat32(at, true);
      case DTYPE_INT64:
        return Number(view.getBigInt64(at, true));
      case DTYPE_INT32:
        return view.getInt32(at, true);
      default:
        view16.setUint16(2, view.getUint16(at, true), true);
        return view16.getFloat32(0, true);
    }
  };
  return Array.from({ length: Math.floor(bytes.byteLength / size) }, (_, index) => read(index * size));
}

const view16 = new DataView(new ArrayBuffer(4));

export function sizeOf(dtype: number): number {
  const size = { [DTYPE_FLOAT32]: 4, [DTYPE_INT64]: 8, [DTYPE_INT32]: 4, [DTYPE_BFLOAT16]: 2 }[dtype];
  if (size === undefined) throw new RangeError(`a tensor of the unknown type ${dtype}`);
  return size;
}

import type { SchemaElement } from 'hyparquet-writer';

/** What a column of exported rows holds. Every value is there unless the column is `nullable`. */
export type ColumnType =
  | 'string'
  | 'int32'
  | 'uint32'
  | 'double'
  | 'boolean'
  | { nullable: 'string' | 'boolean' }
  | { list: ColumnType }
  | { struct: Columns };

export type Columns = Readonly<Record<string, ColumnType>>;

/** The value that a row has in a column, for JSON Lines and Parquet alike. */
type Value<Type extends ColumnType> = Type extends 'string'
  ? string
  : Type extends 'int32' | 'uint32' | 'double'
    ? number
    : Type extends 'boolean'
      ? boolean
      : Type extends { nullable: infer Inner extends ColumnType }
        ? Value<Inner> | null
        : Type extends { list: infer Item extends ColumnType }
          ? readonly Value<Item>[]
          : Type extends { struct: infer Fields extends Columns }
            ? RowOf<Fields>
            : never;

export type RowOf<Of extends Columns> = { -readonly [Name in keyof Of]: Value<Of[Name]> };

/** Parquet's own list of a schema: parents before their children. */
export function parquetSchema(columns: Columns): SchemaElement[] {
  return [
    { name: 'root', num_children: Object.keys(columns).length },
    ...Object.entries(columns).flatMap(([name, type]) => elements(name, type)),
  ];
}

type Repetition = 'REQUIRED' | 'OPTIONAL';

function elements(name: string, type: ColumnType, repetition_type: Repetition = 'REQUIRED'): SchemaElement[] {
  if (type === 'string') return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type }];
  if (type === 'uint32') return [{ name, type: 'INT32', converted_type: 'UINT_32', repetition_type }];
  if (type === 'int32') return [{ name, type: 'INT32', repetition_type }];
  if (type === 'double') return [{ name, type: 'DOUBLE', repetition_type }];
  if (type === 'boolean') return [{ name, type: 'BOOLEAN', repetition_type }];
  if ('nullable' in type) return elements(name, type.nullable, 'OPTIONAL');
  if ('list' in type) {
    // Three levels, named as the format says: what pyarrow writes, too.
    return [
      { name, repetition_type, converted_type: 'LIST', num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      ...elements('element', type.list),
    ];
  }
  const fields = Object.entries(type.struct);
  return [
    { name, repetition_type, num_children: fields.length },
    ...fields.flatMap(([field, inner]) => elements(field, inner)),
  ];
}

/** The type in words, for a data card. */
export function typeText(type: ColumnType): string {
  if (typeof type === 'string') return type;
  if ('nullable' in type) return `${type.nullable} or null`;
  if ('list' in type) return `list of ${typeText(type.list)}`;
  const fields = Object.entries(type.struct).map(([name, inner]) => `${name}: ${typeText(inner)}`);
  return `{${fields.join(', ')}}`;
}

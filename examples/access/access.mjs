// Reads a customer's access to a product, and its end: one GetItem.

import { realpathSync } from "node:fs";
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";

// Create it once: it keeps its connections.
const dynamodb = new DynamoDBClient();
const TABLE = process.env.ENTITLEMENTS_TABLE;

// `now` and `until` are Unix seconds. An exception means "unknown", not "no access".
export async function access(customerId, productId, now) {
  const { Item: item } = await dynamodb.send(
    new GetItemCommand({
      TableName: TABLE,
      Key: { customer_id: { S: customerId }, entry: { S: `product#${productId}` } },
      // Costs half of true, which only a read right after a write needs.
      ConsistentRead: false,
    }),
  );
  // The first subscription creates the row; without a row, there is no access.
  if (!item) return { allowed: false, until: null, reason: null };
  const until = Number(item.access_until.N);
  // The time decides. The reason is for people, and new words may come.
  return { allowed: now < until, until, reason: item.reason.S };
}

// Run as a program, not imported.
if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  const [customerId, productId] = process.argv.slice(2);
  console.log(JSON.stringify(await access(customerId, productId, Math.floor(Date.now() / 1000))));
}

// Whether a customer has access to a product, and until when: one GetItem.

import { realpathSync } from "node:fs";
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";

// Made once, since it keeps its connections.
const dynamodb = new DynamoDBClient();
const TABLE = process.env.ENTITLEMENTS_TABLE;

// `now` and `until` are Unix seconds. An exception means that nobody knows, not that there is no access.
export async function access(customerId, productId, now) {
  const { Item: item } = await dynamodb.send(
    new GetItemCommand({
      TableName: TABLE,
      Key: { customer_id: { S: customerId }, entry: { S: `product#${productId}` } },
      // Half the price of true, which is for a reader that must see what was written a moment ago.
      ConsistentRead: false,
    }),
  );
  // There is a row from the first subscription on; before, the answer is no.
  if (!item) return { allowed: false, until: null, reason: null };
  const until = Number(item.access_until.N);
  // The time decides. The reason is for people: it may be a word that is new to this program.
  return { allowed: now < until, until, reason: item.reason.S };
}

// Run as a program, not imported.
if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  const [customerId, productId] = process.argv.slice(2);
  console.log(JSON.stringify(await access(customerId, productId, Math.floor(Date.now() / 1000))));
}

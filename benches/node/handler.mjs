// Intake's job, as a user of Node.js would write it: verify, deduplicate, queue, answer.

import {
  IdempotencyConfig,
  makeIdempotent,
} from "@aws-lambda-powertools/idempotency";
import { DynamoDBPersistenceLayer } from "@aws-lambda-powertools/idempotency/dynamodb";
import {
  GetSecretValueCommand,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { Webhook, WebhookVerificationError } from "svix";

const FRESH_FOR_MS = 5 * 60 * 1000;

const sqs = new SQSClient({});
const secretsManager = new SecretsManagerClient({});
const persistenceStore = new DynamoDBPersistenceLayer({
  tableName: process.env.IDEMPOTENCY_TABLE,
});
const config = new IdempotencyConfig({
  eventKeyJmesPath: "event_id",
  expiresAfterSeconds: 90 * 24 * 60 * 60,
  throwOnNoIdempotencyKey: true,
});

let secrets = read();

// The reading starts while the runtime starts.
function read() {
  const command = new GetSecretValueCommand({
    SecretId: process.env.WEBHOOK_SECRETS_ARN,
  });
  const webhooks = secretsManager.send(command).then((found) =>
    JSON.parse(found.SecretString).webhook_secrets.map(
      // The package knows the prefix `whsec_` only.
      (secret) => new Webhook(secret.replace(/^fwhsec_/, "")),
    ),
  );
  return { webhooks, readAt: Date.now() };
}

async function verified(body, headers) {
  if (Date.now() - secrets.readAt > FRESH_FOR_MS) {
    secrets = read();
  }
  let refusal;
  for (const webhook of await secrets.webhooks) {
    try {
      webhook.verify(body, headers);
      return JSON.parse(body);
    } catch (error) {
      refusal = error;
    }
  }
  throw refusal;
}

const queue = makeIdempotent(
  async (event) => {
    await sqs.send(
      new SendMessageCommand({
        QueueUrl: process.env.FULFILLMENT_QUEUE_URL,
        MessageBody: JSON.stringify(event),
      }),
    );
    return { queued: true };
  },
  { persistenceStore, config },
);

export async function handler(request, context) {
  config.registerLambdaContext(context);
  const body = request.isBase64Encoded
    ? Buffer.from(request.body, "base64").toString()
    : request.body;
  try {
    await queue(await verified(body, request.headers));
  } catch (error) {
    if (error instanceof WebhookVerificationError) {
      console.warn(JSON.stringify({ outcome: "refused", reason: error.message }));
      return { statusCode: 401 };
    }
    console.error(JSON.stringify({ outcome: "unavailable", reason: String(error) }));
    return { statusCode: 503, headers: { "retry-after": "30" } };
  }
  console.info(JSON.stringify({ outcome: "accepted" }));
  return { statusCode: 200 };
}

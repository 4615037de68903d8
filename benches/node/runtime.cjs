// A minimal runtime loop. AWS's own, aws-lambda-ric, must be compiled with libcurl and does more per event, so this one
// favors the peer.

const http = require("node:http");
const path = require("node:path");

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

function call(method, at, body) {
  return new Promise((resolve, reject) => {
    const headers =
      body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const request = http.request(
      { agent, host, port, method, path: `/2018-06-01/runtime/${at}`, headers },
      (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => resolve({ headers: answer.headers, body: Buffer.concat(parts).toString() }));
        answer.on("error", reject);
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

function described(error) {
  return JSON.stringify({ errorType: error.name, errorMessage: String(error) });
}

async function run() {
  const [file, name] = process.env._HANDLER.split(".");
  let handler;
  try {
    handler = require(path.join(process.env.LAMBDA_TASK_ROOT, file))[name];
  } catch (error) {
    await call("POST", "init/error", described(error));
    throw error;
  }
  for (;;) {
    const next = await call("GET", "invocation/next");
    const id = next.headers["lambda-runtime-aws-request-id"];
    const deadline = Number(next.headers["lambda-runtime-deadline-ms"]);
    const context = {
      awsRequestId: id,
      functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
      functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
      invokedFunctionArn: next.headers["lambda-runtime-invoked-function-arn"],
      memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      getRemainingTimeInMillis: () => deadline - Date.now(),
    };
    try {
      const answer = await handler(JSON.parse(next.body), context);
      await call("POST", `invocation/${id}/response`, JSON.stringify(answer));
    } catch (error) {
      await call("POST", `invocation/${id}/error`, described(error));
    }
  }
}

run().catch((error) => {
  console.error(error);
  process.exit(1);
});

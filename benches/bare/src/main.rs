//! The least that a Rust function does: it reads the gateway's event and answers 200. The benchmark's floor.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(
        |_: LambdaEvent<ApiGatewayV2httpRequest>| async move {
            let mut answer = ApiGatewayV2httpResponse::default();
            answer.status_code = 200;
            Ok::<_, Error>(answer)
        },
    ))
    .await
}

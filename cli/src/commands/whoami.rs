//! `till whoami`.

use crate::{Context, backend::Backend, error::Error, output::Answer};
use serde_json::json;

pub(super) async fn whoami<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    let identity = on.backend.platform().identity().await?;
    let stack = on.stack;
    let data = json!({
        "account": identity.account, "arn": identity.arn, "stack_status": stack.status,
        "providers": stack.providers(), "till_version": env!("CARGO_PKG_VERSION"),
    });
    let version = stack
        .version
        .as_deref()
        .unwrap_or("not stated by the stack");
    let text = format!(
        "Caller        {}\nAccount       {}\nStack         {}, {}, {}\nProviders     {}\nBundle        {version}\n\
         till          {}\n",
        identity.arn,
        identity.account,
        stack.name,
        stack.mode,
        stack.status,
        stack.providers().join(", "),
        env!("CARGO_PKG_VERSION"),
    );
    Answer::new("till.whoami/1", &data, text)
}

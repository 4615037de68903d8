//! `till whoami`.

use crate::{Context, answers::Whoami, backend::Backend, error::Error, output::Answer};

pub(super) async fn whoami<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    let identity = on.backend.platform().identity().await?;
    let stack = on.stack;
    let data = Whoami {
        account: identity.account.clone(),
        arn: identity.arn.clone(),
        stack_status: stack.status.clone(),
        providers: stack.providers(),
        till_version: env!("CARGO_PKG_VERSION"),
    };
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
    Answer::of(&data, text)
}

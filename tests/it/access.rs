//! The merchant's own application: the examples that read a customer's access or a merchant's readiness, run as programs.

use crate::contract::resources;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use kit::stack::Stack;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Runs the program of each language, which knows the stack from its environment alone.
fn run(
    stack: &Stack,
    table: &str,
    customer_id: &str,
    product_id: &str,
) -> [(&'static str, Output); 3] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (tools, examples) = (
        root.join(".local/tools/examples/bin"),
        root.join("examples/access"),
    );
    // Cargo builds the examples of a workspace beside the `deps` that this test lies in.
    let this = std::env::current_exe().unwrap();
    let rust = this.ancestors().nth(2).unwrap().join("examples/access");
    let programs: [(&str, Vec<PathBuf>); 3] = [
        ("Rust", vec![rust]),
        (
            "Python",
            vec![tools.join("python"), examples.join("access.py")],
        ),
        (
            "JavaScript",
            vec![tools.join("node"), examples.join("access.mjs")],
        ),
    ];
    programs.map(|(language, command)| {
        let given = [customer_id, product_id];
        let output = output(stack, &command, ("ENTITLEMENTS_TABLE", table), &given);
        (language, output)
    })
}

/// The output of a program that gets these arguments and the name of a table.
fn output(
    stack: &Stack,
    command: &[PathBuf],
    (variable, table): (&str, &str),
    arguments: &[&str],
) -> Output {
    for file in command {
        assert!(
            file.exists(),
            "{} is missing: run this by `make test`",
            file.display()
        );
    }
    let output = Command::new(&command[0])
        .args(&command[1..])
        .args(arguments)
        .env_clear()
        .env(variable, table)
        .env("AWS_ENDPOINT_URL", &stack.endpoint)
        .env("AWS_REGION", &stack.region)
        // boto3's name for it.
        .env("AWS_DEFAULT_REGION", &stack.region)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .output();
    output.unwrap()
}

#[tokio::test]
async fn the_example_for_merchants_says_whether_one_can_take_payments_and_what_is_missing() {
    let stack = Stack::named().unwrap();
    let ports = stack.tables().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let command = [
        root.join(".local/tools/examples/bin/python"),
        root.join("examples/merchant-readiness/merchant_readiness.py"),
    ];
    for (status, missing, expected) in [
        (
            "ready",
            ["website"],
            r#"{"can_take_payments":true,"missing":["website"]}"#,
        ),
        (
            "blocked",
            ["tax id"],
            r#"{"can_take_payments":false,"missing":["tax id"]}"#,
        ),
    ] {
        let id = resources::merchant_on(&ports, status, &missing).await;
        let table = ("RESOURCES_TABLE", &*stack.tables.resources);
        for (id, expected) in [
            (id.as_str(), expected),
            ("mer_none", r#"{"can_take_payments":false,"missing":null}"#),
        ] {
            let output = output(&stack, &command, table, &[id]);
            assert!(output.status.success(), "{output:?}");
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(said, format!("{expected}\n"));
        }
    }
}

#[tokio::test]
async fn all_three_examples_say_the_same_of_access_that_lasts_has_ended_or_never_was() {
    let stack = Stack::named().unwrap();
    let table = &stack.tables.entitlements;
    let dynamodb = Client::new(&stack.config().await);
    let now = jiff::Timestamp::now();
    let customer_id = format!("fcus_{}", now.as_nanosecond());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    // Access ends at its last second, not after it.
    let (later, now) = (now.as_second() + 3600, now.as_second());
    for (product_id, until, reason) in [
        ("fprod_lasting", later, "paid"),
        ("fprod_ended", now, "ended"),
        ("fprod_unpaid", 0, "not_paid_yet"),
    ] {
        let put = dynamodb.put_item().table_name(table);
        let put = put.item("customer_id", text(&customer_id));
        let put = put.item("entry", text(&format!("product#{product_id}")));
        let put = put.item("access_until", AttributeValue::N(until.to_string()));
        put.item("reason", text(reason)).send().await.unwrap();
    }
    let never = r#"{"allowed":false,"until":null,"reason":null}"#;
    for (customer_id, product_id, expected) in [
        (
            &*customer_id,
            "fprod_lasting",
            &*format!(r#"{{"allowed":true,"until":{later},"reason":"paid"}}"#),
        ),
        (
            &customer_id,
            "fprod_ended",
            &format!(r#"{{"allowed":false,"until":{now},"reason":"ended"}}"#),
        ),
        (
            &customer_id,
            "fprod_unpaid",
            r#"{"allowed":false,"until":0,"reason":"not_paid_yet"}"#,
        ),
        (&customer_id, "fprod_of_others", never),
        ("fcus_never_heard_of", "fprod_lasting", never),
    ] {
        for (language, output) in run(&stack, table, customer_id, product_id) {
            assert!(output.status.success(), "{language}: {output:?}");
            assert_eq!(
                String::from_utf8(output.stdout).unwrap(),
                format!("{expected}\n"),
                "{language}"
            );
        }
    }
}

#[test]
fn an_example_that_cannot_read_the_table_says_neither_yes_nor_no() {
    let stack = Stack::named().unwrap();
    for (language, output) in run(&stack, "not-there", "fcus_1", "fprod_1") {
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{language}: {said}"
        );
        assert!(
            said.contains("ResourceNotFoundException"),
            "{language}: {said}"
        );
    }
}

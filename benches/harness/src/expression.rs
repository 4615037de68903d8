//! DynamoDB's expressions, as far as the functions and the peers use them.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` gives null or makes the member"
)]

use serde_json::{Map, Value, json};
use std::cmp::Ordering;

/// An item's attributes, in DynamoDB's JSON.
pub(crate) type Item = Map<String, Value>;

/// An expression of a request, read from left to right.
struct Reader<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    /// Has `ExpressionAttributeNames` and `ExpressionAttributeValues`.
    request: &'a Value,
    item: &'a Item,
}

/// True if the condition holds for the item. A missing condition holds.
pub(crate) fn holds(condition: Option<&str>, request: &Value, item: &Item) -> bool {
    condition.is_none_or(|text| Reader::new(text, request, item).any())
}

/// The item after an update expression.
pub(crate) fn updated(expression: &str, request: &Value, item: &Item) -> Item {
    let mut after = item.clone();
    let mut reader = Reader::new(expression, request, item);
    while let Some(clause) = reader.next() {
        loop {
            let name = reader.name();
            if clause == "REMOVE" {
                after.remove(&name);
            } else {
                reader.accept("=");
                let value = reader.sum();
                after.insert(name, value);
            }
            if !reader.accept(",") {
                break;
            }
        }
    }
    after
}

/// Splits an expression into names, values and operators.
fn tokens(text: &str) -> Vec<&str> {
    let is_word = |it: char| it.is_alphanumeric() || "#:_".contains(it);
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|it| !is_word(it)).unwrap_or(rest.len())
        } else if ["<=", ">=", "<>"].iter().any(|it| rest.starts_with(it)) {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, request: &'a Value, item: &'a Item) -> Self {
        Self {
            tokens: tokens(text),
            at: 0,
            request,
            item,
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.at += 1;
        self.tokens.get(self.at - 1).copied()
    }

    /// Takes the token if it comes next.
    fn accept(&mut self, token: &str) -> bool {
        let is_next = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(is_next);
        is_next
    }

    fn any(&mut self) -> bool {
        let mut holds = self.all();
        while self.accept("OR") {
            holds |= self.all();
        }
        holds
    }

    fn all(&mut self) -> bool {
        let mut holds = self.one();
        while self.accept("AND") {
            holds &= self.one();
        }
        holds
    }

    fn one(&mut self) -> bool {
        if self.accept("NOT") {
            return !self.one();
        }
        if self.accept("(") {
            let holds = self.any();
            self.accept(")");
            return holds;
        }
        for (function, expected) in [("attribute_exists", true), ("attribute_not_exists", false)] {
            if self.accept(function) {
                self.accept("(");
                let name = self.name();
                self.accept(")");
                return self.item.contains_key(&name) == expected;
            }
        }
        let left = self.operand();
        let operator = self.next().unwrap_or_default();
        if operator == "IN" {
            self.accept("(");
            let mut found = compare(&left, &self.operand()) == Some(Ordering::Equal);
            while self.accept(",") {
                found |= compare(&left, &self.operand()) == Some(Ordering::Equal);
            }
            self.accept(")");
            return found;
        }
        let order = compare(&left, &self.operand());
        order.is_some_and(|order| match operator {
            "=" => order.is_eq(),
            "<>" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            _ => false,
        })
    }

    /// A value to set: an operand, or the sum or difference of two.
    fn sum(&mut self) -> Value {
        let mut value = self.operand();
        loop {
            let sign = match (self.accept("+"), self.accept("-")) {
                (true, _) => 1,
                (_, true) => -1,
                _ => return value,
            };
            let second = self.operand();
            let sum = number(&value) + sign * number(&second);
            value = json!({"N": sum.to_string()});
        }
    }

    fn operand(&mut self) -> Value {
        if self.accept("if_not_exists") {
            self.accept("(");
            let name = self.name();
            self.accept(",");
            let otherwise = self.operand();
            self.accept(")");
            return self.item.get(&name).cloned().unwrap_or(otherwise);
        }
        match self.tokens.get(self.at) {
            Some(token) if token.starts_with(':') => {
                self.at += 1;
                self.request["ExpressionAttributeValues"][token].clone()
            }
            _ => {
                let name = self.name();
                self.item.get(&name).cloned().unwrap_or_default()
            }
        }
    }

    fn name(&mut self) -> String {
        let token = self.next().unwrap_or_default();
        let name = self.request["ExpressionAttributeNames"][token].as_str();
        name.unwrap_or(token).to_owned()
    }
}

fn number(value: &Value) -> i64 {
    let digits = value["N"].as_str().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

/// The order of two values of one type. None if one is missing.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    if left["N"].is_string() && right["N"].is_string() {
        return Some(number(left).cmp(&number(right)));
    }
    if let (Some(left), Some(right)) = (left["S"].as_str(), right["S"].as_str()) {
        return Some(left.cmp(right));
    }
    (!left.is_null() && left == right).then_some(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Value {
        json!({
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {
                ":stored": {"S": "stored"}, ":other": {"S": "parked"}, ":two": {"N": "2"}, ":ten": {"N": "10"},
            },
        })
    }

    fn item() -> Item {
        let item = json!({"state": {"S": "stored"}, "on_hand": {"N": "9"}, "version": {"N": "2"}});
        item.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_condition_is_read_as_dynamodb_reads_it() {
        for (condition, expected) in [
            ("attribute_not_exists(#state)", false),
            ("attribute_not_exists(id) OR missing < :two", true),
            ("#state = :stored AND version = :two", true),
            ("#state IN (:other, :stored)", true),
            ("#state IN (:other)", false),
            ("on_hand >= :ten", false),
            // As numbers: as texts 9 is more than 10.
            ("on_hand <= :ten", true),
            ("missing <= :ten", false),
            (
                "NOT #state = :other AND (version <> :two OR on_hand < :ten)",
                true,
            ),
        ] {
            let holds = holds(Some(condition), &request(), &item());
            assert_eq!(holds, expected, "{condition}");
        }
        assert!(holds(None, &request(), &item()));
    }

    #[test]
    fn an_update_reads_the_item_before_it() {
        let expression = "SET on_hand = on_hand - :two, attempts = if_not_exists(attempts, :ten) + \
                          :two, version = version + :two REMOVE #state, missing";
        let after = updated(expression, &request(), &item());
        let expected =
            json!({"on_hand": {"N": "7"}, "attempts": {"N": "12"}, "version": {"N": "4"}});
        assert_eq!(Value::Object(after), expected);
    }
}

//! The size of a value as JSON, without the JSON.

use serde::Serialize;
use std::io;

/// The bytes of the value as JSON; `usize::MAX` if it cannot be JSON.
#[must_use]
pub fn json_size<T: Serialize>(value: &T) -> usize {
    let mut count = ByteCount(0);
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// Counts the bytes that are written to it.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! A receipt as a mail.

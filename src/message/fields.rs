//! The fields that we add, as values: Received (RFC 5321 4.4), X-Spam-*; and which forged ones we remove.

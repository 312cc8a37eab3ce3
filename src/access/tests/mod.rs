//! Tests of tokens: signed here with keys of every kind that is taken, then bent in every way that has a name.

mod keyrings;
mod support;
mod tokens;

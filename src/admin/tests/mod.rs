//! Tests of the admin API, through its router and over real sockets.

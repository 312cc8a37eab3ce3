//! Body (stub).
use super::upgraded::Upgraded;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};
/// Why a response body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream closed, or sent what is not HTTP.
    #[error("{0}")]
    Upstream(String),
}
/// The body of an upstream's response; while it is read, what is left of the request's body `B` is sent.
pub struct UpstreamBody<B>(std::marker::PhantomData<B>);
impl<B> UpstreamBody<B> {
    /// After a 101: the connection itself, with what was read beyond the head.
    pub fn into_upgraded(self) -> Option<Upgraded> {
        todo!()
    }
}
impl<B> Body for UpstreamBody<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = BodyError;
    fn poll_frame(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        todo!()
    }
}

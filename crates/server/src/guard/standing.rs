//! Streams end when whoever reads them may not any more: the key was revoked or has expired, the session is over, the
//! organization was disabled.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bowline_access::{Access, Caller, Denied, Role, Scope};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};

use super::{ORGANIZATION, may, session};
use crate::config::Config;

/// How often it is looked at again, at least.
const EVERY: Duration = Duration::from_secs(5);

/// What a request presents.
#[derive(Clone)]
pub(super) struct Presented {
    authorization: Option<HeaderValue>,
    pub(super) session: Option<String>,
    organization: Option<HeaderValue>,
    /// The organization that a browser's pages are in.
    place: Option<String>,
    /// Whether it comes from a program on this machine.
    is_loopback: bool,
    /// It came through the socket in the data folder.
    is_of_folder: bool,
}

impl Presented {
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap, is_direct: bool, is_page: bool, is_of_folder: bool) -> Self {
        Self {
            authorization: headers.get(AUTHORIZATION).cloned(),
            session: session::sent(headers).map(str::to_owned),
            organization: headers.get(ORGANIZATION).cloned(),
            place: session::place(headers).filter(|_| is_page).map(str::to_owned),
            is_loopback: is_direct && super::origin::is_loopback(peer, headers),
            is_of_folder,
        }
    }

    /// Who that is, at home.
    pub(super) async fn caller(&self, access: &Access) -> Result<Caller, Denied> {
        let authorization = match &self.authorization {
            // Whoever has the folder could make a key.
            None if self.is_of_folder => {
                return Ok(Caller {
                    name: "command line".to_owned(),
                    ..Caller::loopback()
                });
            }
            None => None,
            Some(text) => Some(text.to_str().map_err(|_| Denied::Malformed("it is not text"))?),
        };
        let (None, Some(session)) = (authorization, &self.session) else {
            return access.authenticate(authorization, self.is_loopback).await;
        };
        match access.by_session(session).await {
            // Where nobody needs a key, an old cookie does no harm.
            Err(Denied::SessionEnded) => {
                access
                    .authenticate(None, self.is_loopback)
                    .await
                    .map_err(|denied| match denied {
                        Denied::Missing => Denied::SessionEnded,
                        other => other,
                    })
            }
            other => other,
        }
    }

    /// The same one where it wants to act.
    pub(super) async fn acting(&self, access: &Access, caller: Caller) -> Result<Caller, Denied> {
        match self.organization.as_ref().map(HeaderValue::to_str) {
            None => match &self.place {
                None => Ok(caller),
                Some(place) => match access.acting_in(caller.clone(), place).await {
                    Err(denied @ Denied::Unavailable(_)) => Err(denied),
                    // Where a browser has been is no reason to shut out who looks now: the page says where they are.
                    Err(_) => Ok(caller),
                    there => there,
                },
            },
            Some(Ok(name)) => access.acting_in(caller, name).await,
            Some(Err(_)) => Err(Denied::Malformed("Bowline-Organization is not text")),
        }
    }
}

/// What lets somebody read on.
pub(super) struct Standing {
    pub(super) access: Access,
    pub(super) presented: Presented,
    pub(super) role: Role,
    pub(super) scope: Scope,
}

impl Standing {
    /// Ends the body of a stream of events once it does not hold any more.
    pub(super) fn watch(self, config: &Config, response: Response) -> Response {
        let is_stream = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream"));
        if !is_stream {
            return response;
        }
        let every = config.events.heartbeat.duration().min(EVERY);
        response.map(|body| {
            Body::new(Watched {
                body,
                over: Some(Box::pin(self.until_over(every))),
            })
        })
    }

    /// Returns once it does not hold any more.
    async fn until_over(self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            // Boxed: thousands of streams wait at any time, and few look.
            match Box::pin(self.look()).await {
                // Who could not be asked about is let be until they can.
                Ok(()) | Err(Denied::Unavailable(_)) => {}
                Err(_) => return,
            }
        }
    }

    async fn look(&self) -> Result<(), Denied> {
        let caller = self.presented.caller(&self.access).await?;
        let caller = self.presented.acting(&self.access, caller).await?;
        may(&caller, self.role, self.scope)
    }
}

/// A body that ends when something is over.
struct Watched {
    body: Body,
    /// None after that.
    over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.over {
            None => return Poll::Ready(None),
            Some(over) => {
                if over.as_mut().poll(context).is_ready() {
                    self.over = None;
                    return Poll::Ready(None);
                }
            }
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}

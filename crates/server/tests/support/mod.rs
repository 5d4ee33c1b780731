//! A server on a port of its own and what it answers, for the test programs of this crate.

use std::net::SocketAddr;
use std::time::Duration;

use bowline_host::{Host, HostOptions};
use bowline_server::{App, Config, Server, Stop};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A server that runs until it is dropped or ended.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    pub(crate) app: App,
    pub(crate) host: Host,
    stop: Stop,
    serves: JoinHandle<()>,
}

impl Served {
    /// A server on this socket, for a host of its own.
    pub(crate) async fn on(listener: TcpListener, config: Config, options: HostOptions) -> Self {
        let host = Host::open(options).await.unwrap();
        let stop = Stop::new();
        let server = Server::new(config, host.clone(), listener, stop.clone()).unwrap();
        let address = server.address();
        Self {
            address,
            url: format!("http://{address}"),
            client: reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap(),
            app: server.app().clone(),
            host,
            stop,
            serves: tokio::spawn(server.run()),
        }
    }

    /// Ends it, and returns when it has let go of its folder.
    pub(crate) async fn end(&mut self) {
        self.stop.stop();
        tokio::time::timeout(LONG, &mut self.serves).await.unwrap().unwrap();
        self.host.stop(Duration::from_secs(5)).await;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self {
            status,
            headers,
            text,
            body,
        }
    }

    /// It has this status.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// It is a problem of this status and code, and says something about it.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> &Self {
        self.is(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["code"], code, "{}", self.text);
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["type"], format!("/docs#{code}"));
        assert!(!self.body["detail"].as_str().unwrap().is_empty());
        self
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

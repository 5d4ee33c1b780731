//! Where a request comes from: the address of the client, whether that is this machine, and whether a page of somebody else
//! sent it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::header::{FORWARDED, HOST, ORIGIN, VIA};
use axum::http::{Extensions, HeaderMap, HeaderName, Uri};
use ipnet::IpNet;

use crate::config::Config;

/// What a proxy says about the client.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a browser says about the page that sends a request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How it wants what it asks for, and as what.
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Headers that say that somebody stands between.
const BETWEEN: [HeaderName; 7] = [
    FORWARDED,
    VIA,
    FORWARDED_FOR,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("cf-connecting-ip"),
];

/// Who has sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(pub IpAddr);

/// The address on the other end of the connection.
pub(super) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip().to_canonical())
}

/// The client's address: that of the connection, or what proxies that are trusted say of it. Read from the right: what
/// stands further left was said by somebody who is not trusted.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|net| net.contains(address));
    let mut client = peer;
    let said: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for address in said.iter().rev() {
        if !is_proxy(&client) {
            break;
        }
        match address.parse::<IpAddr>() {
            Ok(address) => client = address.to_canonical(),
            Err(_) => break,
        }
    }
    client
}

/// Whether a request comes from a program on this machine, and not by way of a proxy on it, and not from a page that has
/// made its own name point here.
pub(super) fn is_loopback(peer: IpAddr, headers: &HeaderMap) -> bool {
    peer.is_loopback() && !BETWEEN.iter().any(|name| headers.contains_key(name)) && host(headers).is_some_and(is_here)
}

/// Whether the server is meant for programs on this machine alone: no proxy is configured, and it is known under no other
/// name. A proxy that says nothing of itself would otherwise make everybody one who is on this machine.
pub(crate) fn is_for_this_machine(config: &Config) -> bool {
    let is_known_elsewhere = config.public_url.as_deref().is_some_and(|url| {
        let host = url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_owned));
        let host = host.as_deref().map(|host| host.trim_matches(['[', ']']));
        !host.is_some_and(is_here)
    });
    config.limits.proxies.is_empty() && !is_known_elsewhere
}

/// Whether a browser says that somebody has followed a link, so that what opens is a page of its own.
pub(super) fn is_followed_link(headers: &HeaderMap) -> bool {
    headers.get(FETCH_MODE).is_some_and(|mode| mode == "navigate")
        && headers.get(FETCH_DEST).is_some_and(|dest| dest == "document")
}

/// The host that a request is for, without the port.
fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    match host.strip_prefix('[') {
        Some(six) => six.split_once(']').map(|(address, _)| address),
        None => Some(host.rsplit_once(':').map_or(host, |(name, _)| name)),
    }
}

fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a request may be one that a page of somebody else has sent. Programs send neither of the headers that tell.
pub fn is_foreign(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        // `none` is what the user has typed, or opened from a bookmark.
        return site != "same-origin" && site != "none";
    }
    headers
        .get(ORIGIN)
        .is_some_and(|origin| !is_own(origin.to_str().unwrap_or_default(), headers))
}

/// Whether a browser says that one of this server's own pages has sent it.
pub(super) fn is_from_own_page(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "same-origin";
    }
    headers
        .get(ORIGIN)
        .is_some_and(|origin| is_own(origin.to_str().unwrap_or_default(), headers))
}

fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    origin
        .split_once("://")
        .is_some_and(|(_, authority)| !host.is_empty() && authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let of =
            |peer: &str, said: &str| client(ip(peer), &headers(&[("x-forwarded-for", said)]), &proxies).to_string();
        assert_eq!(of("10.0.0.1", "192.0.2.7"), "192.0.2.7");
        assert_eq!(of("192.0.2.1", "192.0.2.7"), "192.0.2.1");
        // What the client itself has written stands left of what the proxy adds.
        assert_eq!(of("10.0.0.1", "127.0.0.1, 192.0.2.7"), "192.0.2.7");
        assert_eq!(of("10.0.0.1", "192.0.2.7, 10.0.0.2"), "192.0.2.7");
        assert_eq!(of("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(client(ip("10.0.0.1"), &HeaderMap::new(), &proxies), ip("10.0.0.1"));
    }

    #[test]
    fn loopback_is_this_machine_and_nobody_between() {
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_loopback(ip("127.0.0.1"), &headers(&[("host", host)])), "{host}");
        }
        // A name that somebody has pointed at this machine.
        for host in [
            "evil.test",
            "evil.test:8080",
            "localhost.evil.test",
            "[::2]",
            "10.0.0.1",
            "",
        ] {
            assert!(!is_loopback(ip("::1"), &headers(&[("host", host)])), "{host}");
        }
        assert!(!is_loopback(ip("127.0.0.1"), &HeaderMap::new()));
        assert!(!is_loopback(ip("192.0.2.1"), &headers(&[("host", "localhost")])));
        for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
            let headers = headers(&[("host", "localhost"), (name, "1")]);
            assert!(!is_loopback(ip("127.0.0.1"), &headers), "{name}");
        }
    }

    #[test]
    fn a_server_for_others_lets_nobody_in_for_being_here() {
        let with = |url: Option<&str>, proxies: &[&str]| {
            let mut config = Config {
                public_url: url.map(str::to_owned),
                ..Config::default()
            };
            config.limits.proxies = proxies.iter().map(|net| net.parse().unwrap()).collect();
            is_for_this_machine(&config)
        };
        for here in ["http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080"] {
            assert!(with(Some(here), &[]), "{here}");
        }
        assert!(with(None, &[]) && !with(None, &["10.0.0.0/8"]));
        for elsewhere in ["https://flows.example", "http://10.0.0.1", "nonsense here"] {
            assert!(!with(Some(elsewhere), &[]), "{elsewhere}");
        }
    }

    #[test]
    fn pages_of_others_are_known() {
        let cases = [
            (&[][..], false, false),
            (&[("sec-fetch-site", "same-origin")], false, true),
            (&[("sec-fetch-site", "none")], false, false),
            (&[("sec-fetch-site", "cross-site")], true, false),
            (&[("sec-fetch-site", "same-site")], true, false),
            (&[("host", "a.test"), ("origin", "https://a.test")], false, true),
            (&[("host", "a.test"), ("origin", "https://b.test")], true, false),
            (&[("host", "a.test"), ("origin", "null")], true, false),
            (&[("host", "a.test:80"), ("origin", "http://a.test:81")], true, false),
        ];
        for (list, foreign, own) in cases {
            let headers = headers(list);
            assert_eq!(
                (is_foreign(&headers), is_from_own_page(&headers)),
                (foreign, own),
                "{list:?}"
            );
        }
    }
}

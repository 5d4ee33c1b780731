//! Which endpoint a path leads to.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use http::Method;
use matchit::Router;

/// Endpoints by organization, path and method. Made anew whenever workflows change, and then only read.
pub struct Table<T> {
    organizations: BTreeMap<String, Router<BTreeMap<String, T>>>,
}

/// What is at a path.
#[derive(Debug)]
pub enum Found<'a, T> {
    /// The endpoint, and the parameters of its path.
    Endpoint(&'a T, BTreeMap<String, String>),
    /// Others, with these methods.
    Methods(Vec<&'a str>, &'a T),
    /// Nothing.
    Nothing,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            organizations: BTreeMap::new(),
        }
    }
}

impl<T> Table<T> {
    /// Puts an endpoint at a path, for each of the methods.
    ///
    /// # Errors
    /// What stands in its way, in words. Where one method is taken the others are put all the same.
    pub fn add(&mut self, organization: &str, path: &str, methods: &[Method], endpoint: &T) -> Result<(), String>
    where
        T: Clone,
    {
        let router = self.organizations.entry(organization.to_owned()).or_default();
        // A path of the same form is found by itself: its parameters match any text, their own names too.
        let place = match router.at_mut(path) {
            Ok(found)
                if found
                    .params
                    .iter()
                    .all(|(name, value)| value == format!("{{{name}}}") || value == format!("{{*{name}}}")) =>
            {
                found.value
            }
            _ => {
                router
                    .insert(path, BTreeMap::new())
                    .map_err(|error| format!("path: {path} cannot be used beside the other endpoints: {error}"))?;
                router
                    .at_mut(path)
                    .map_err(|error| format!("path: {path}: {error}"))?
                    .value
            }
        };
        let mut taken = Vec::new();
        for method in methods {
            match place.entry(method.to_string()) {
                Entry::Vacant(free) => drop(free.insert(endpoint.clone())),
                Entry::Occupied(_) => taken.push(method.as_str()),
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        Err(format!(
            "path: {} {path} is another endpoint's; give this one a path of its own",
            taken.join(", ")
        ))
    }

    /// What a request leads to.
    pub fn find(&self, organization: &str, path: &str, method: &Method) -> Found<'_, T> {
        let Some(matched) = self
            .organizations
            .get(organization)
            .and_then(|router| router.at(path).ok())
        else {
            return Found::Nothing;
        };
        match matched.value.get(method.as_str()) {
            Some(endpoint) => {
                let params = matched.params.iter().map(|(name, value)| {
                    let decoded = percent_decoded(value);
                    (name.to_owned(), decoded)
                });
                Found::Endpoint(endpoint, params.collect())
            }
            None => match matched.value.values().next() {
                Some(first) => Found::Methods(matched.value.keys().map(String::as_str).collect(), first),
                None => Found::Nothing,
            },
        }
    }
}

/// A part of a path as it was meant. What is not UTF-8 stays as it was written.
fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| char::from(*bytes.get(at + offset)?).to_digit(16);
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<&'static str> {
        let mut table = Table::default();
        table
            .add("default", "/webhooks/orders", &[Method::POST], &"orders")
            .unwrap();
        table
            .add("default", "/webhooks/orders", &[Method::PUT], &"changes")
            .unwrap();
        table
            .add("default", "/webhooks/{shop}/orders", &[Method::POST], &"of a shop")
            .unwrap();
        table
            .add("acme", "/webhooks/orders", &[Method::POST], &"acme's")
            .unwrap();
        table.add("acme", "/files/{*path}", &[Method::POST], &"files").unwrap();
        table
    }

    #[test]
    fn paths_lead_to_endpoints_of_their_organization() {
        let table = table();
        let name = |organization, path, method| match table.find(organization, path, &method) {
            Found::Endpoint(name, params) => Some((*name, params.into_iter().collect::<Vec<_>>())),
            _ => None,
        };
        assert_eq!(name("default", "/webhooks/orders", Method::POST).unwrap().0, "orders");
        assert_eq!(name("default", "/webhooks/orders", Method::PUT).unwrap().0, "changes");
        assert_eq!(name("acme", "/webhooks/orders", Method::POST).unwrap().0, "acme's");
        let (found, params) = name("default", "/webhooks/caf%C3%A9/orders", Method::POST).unwrap();
        assert_eq!(found, "of a shop");
        assert_eq!(params, [("shop".to_owned(), "café".to_owned())]);
        let (_, params) = name("acme", "/files/a/b%", Method::POST).unwrap();
        assert_eq!(params, [("path".to_owned(), "a/b%".to_owned())]);
        assert_eq!(name("default", "/files/a/b", Method::POST), None);
        assert_eq!(name("nobody", "/webhooks/orders", Method::POST), None);
        match table.find("default", "/webhooks/orders", &Method::GET) {
            Found::Methods(methods, _) => assert_eq!(methods, ["POST", "PUT"]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_at_one_place_are_told() {
        let mut table = table();
        let taken = table.add("default", "/webhooks/orders", &[Method::POST, Method::PATCH], &"other");
        assert!(taken.unwrap_err().contains("POST /webhooks/orders"));
        assert!(matches!(
            table.find("default", "/webhooks/orders", &Method::PATCH),
            Found::Endpoint(&"other", _)
        ));
        let taken = table.add("default", "/webhooks/{shop}/orders", &[Method::POST], &"other");
        assert!(taken.unwrap_err().contains("another endpoint's"));
        let unlike = table.add("default", "/webhooks/{market}/orders", &[Method::PUT], &"other");
        assert!(unlike.unwrap_err().contains("beside the other endpoints"));
        // One that the path with a parameter would match is its own.
        table
            .add("default", "/webhooks/big/orders", &[Method::POST], &"big")
            .unwrap();
        assert!(matches!(
            table.find("default", "/webhooks/big/orders", &Method::POST),
            Found::Endpoint(&"big", _)
        ));
    }
}

//! The names that expressions read, in frames.
//!
//! A workflow has one frame, and every item of a `forEach` has one of its own above it. What a block
//! names for itself (`error`, `action`, `iteration`) stands in a *local* frame: results of steps inside
//! it go to the frame below, so that they can be read after the block.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bowline_expression::Binding;
use serde_json::{Map, Value};

/// One level of names. Cheap to share.
pub(crate) struct Frame {
    names: Mutex<HashMap<String, Binding>>,
    below: Option<Arc<Frame>>,
    local: bool,
}

impl Frame {
    pub(crate) fn root(input: Value) -> Arc<Self> {
        let names = HashMap::from([("input".to_owned(), Binding::open(input))]);
        Arc::new(Self {
            names: Mutex::new(names),
            below: None,
            local: false,
        })
    }

    /// A frame of its own for one item of a loop.
    pub(crate) fn item(self: &Arc<Self>, names: impl IntoIterator<Item = (String, Binding)>) -> Arc<Self> {
        self.above(names, false)
    }

    /// Names of a block; results of steps inside go to the frame below.
    pub(crate) fn local(self: &Arc<Self>, names: impl IntoIterator<Item = (String, Binding)>) -> Arc<Self> {
        self.above(names, true)
    }

    fn above(self: &Arc<Self>, names: impl IntoIterator<Item = (String, Binding)>, local: bool) -> Arc<Self> {
        let names = Mutex::new(names.into_iter().collect());
        Arc::new(Self {
            names,
            below: Some(Arc::clone(self)),
            local,
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<Binding> {
        let found = self.lock().get(name).cloned();
        found.or_else(|| self.below.as_ref()?.get(name))
    }

    /// What this very frame has under a name.
    pub(crate) fn own(&self, name: &str) -> Option<Binding> {
        self.lock().get(name).cloned()
    }

    /// Gives a name of this very frame another value.
    pub(crate) fn rebind(&self, name: &str, binding: Binding) {
        self.lock().insert(name.to_owned(), binding);
    }

    /// The names of this very frame, in order.
    pub(crate) fn own_names(&self) -> BTreeSet<String> {
        self.lock().keys().cloned().collect()
    }

    pub(crate) fn set(&self, name: &str, binding: Binding) {
        match &self.below {
            Some(below) if self.local => below.set(name, binding),
            _ => {
                self.lock().insert(name.to_owned(), binding);
            }
        }
    }

    /// Sets a value below other levels (`auth.accessToken`), keeping what is beside it.
    pub(crate) fn set_path(&self, name: &[String], value: Value, secret: bool) {
        let Some((first, rest)) = name.split_first() else {
            return;
        };
        let before = self.get(first);
        let secret = secret || before.as_ref().is_some_and(|binding| binding.secret);
        let mut whole = before.map(|binding| Value::clone(&binding.value)).unwrap_or_default();
        let mut place = &mut whole;
        for level in rest {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[level.as_str()];
        }
        *place = value;
        self.set(
            first,
            if secret {
                Binding::secret(whole)
            } else {
                Binding::open(whole)
            },
        );
    }

    pub(crate) fn collect_names(&self, into: &mut BTreeSet<String>) {
        into.extend(self.lock().keys().cloned());
        if let Some(below) = &self.below {
            below.collect_names(into);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Binding>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn results_go_past_local_frames_and_stay_in_an_item_s() {
        let root = Frame::root(json!({}));
        let local = root.local([("error".to_owned(), Binding::open(json!("e")))]);
        local.set("a", Binding::open(json!(1)));
        assert!(root.get("a").is_some() && root.get("error").is_none());
        let item = root.item([("item".to_owned(), Binding::open(json!(7)))]);
        item.set("b", Binding::open(json!(2)));
        assert!(item.get("a").is_some() && item.get("b").is_some() && root.get("b").is_none());
    }

    #[test]
    fn a_path_keeps_what_is_beside_it_and_stays_secret() {
        let root = Frame::root(json!({}));
        root.set_path(&["auth".into(), "accessToken".into()], json!("t"), true);
        root.set_path(&["auth".into(), "expiresIn".into()], json!(60), false);
        let auth = root.get("auth").unwrap();
        assert_eq!(*auth.value, json!({"accessToken": "t", "expiresIn": 60}));
        assert!(auth.secret);
    }
}

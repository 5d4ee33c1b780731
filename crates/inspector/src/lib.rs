//! The pages of the inspector: functions from data to HTML.
//!
//! A page is a function that takes a [`Frame`] (who looks, where they are) and the data of the host, and gives the text
//! of a whole HTML document. Nothing here knows routes, requests or status codes: that is the server's. Every page works
//! as plain HTML with links and forms; `assets/app.js` loads changed parts again when the server says that something
//! changed, and adds the keyboard. There are no inline scripts or styles, so that a strict content policy holds.
//!
//! Start reading at [`frame`] (what is around every page), then [`pages::execution`].

mod assets;
pub mod fields;
mod frame;
pub mod pages;
mod parts;

pub use assets::{Asset, asset};
pub use frame::{Frame, Notice, Section};
pub use parts::time::duration;

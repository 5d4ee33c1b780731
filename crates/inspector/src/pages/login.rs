//! The page that asks for a key.

use maud::html;

use crate::frame::{Frame, Notice, notice};
use crate::parts::icon::{Icon, icon};

/// Asks for an API key. `next` is where to go then, `said` why the last one was refused.
pub fn page(next: &str, token: &str, said: Option<&str>) -> String {
    let said = said.map(|message| Notice::Bad {
        message: message.to_owned(),
        hint: Some("`bowline keys create` makes a key; it is shown once.".to_owned()),
        problems: Vec::new(),
    });
    Frame::alone(
        "Log in",
        &html! {
            div.login {
                p.head { span.brand { (icon(Icon::Knot)) "Bowline" } }
                (notice(said.as_ref()))
                section.panel aria-labelledby="login-title" {
                    header { h1 id="login-title" { "Log in" } }
                    form.inside.form method="post" action="/ui/login" {
                        input type="hidden" name="form-token" value=(token);
                        input type="hidden" name="next" value=(next);
                        label { "API key"
                            input name="key" type="password" required autocomplete="current-password" placeholder="bwk_…" spellcheck="false";
                        }
                        p.hint { "The browser gets a session and never sees the key again." }
                        div.buttons { button.main { "Log in" } }
                    }
                }
            }
        },
    )
}

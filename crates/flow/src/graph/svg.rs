//! SVG: sequences downwards, alternatives side by side, frames around blocks.
//!
//! First every part is measured, then drawn into the space it was given. The picture needs nothing from
//! outside, has no scripts, and follows the reader's light or dark setting.

use std::fmt::Write as _;

use crate::plan::Plan;

use super::overlay::Shown;
use super::{Leaf, Look, Overlay, Part, parts, shortened};

const LINE: f64 = 18.0;
const BOX_HEIGHT: f64 = 46.0;
/// What a third line in every box takes: that of the state.
const STATE_HEIGHT: f64 = 18.0;
/// The place of the sign of a state in front of its words.
const SIGN: f64 = 18.0;
/// The narrowest box with a state.
const STATE_WIDTH: f64 = 150.0;
/// Characters of the words about a state.
const LONGEST_STATE: usize = 30;
const GAP: f64 = 26.0;
const BESIDE: f64 = 24.0;
const PADDING: f64 = 16.0;
const MARGIN: f64 = 20.0;
const LONGEST_LABEL: usize = 44;

/// The workflow as an SVG document of its own.
pub fn svg(plan: &Plan) -> String {
    let (body, size) = draw(plan, None);
    let (width, height) = (size.width, size.height);
    let label = escape(&format!("Workflow {}", plan.name));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">{label}</title>\n\
         <style>{STYLE}</style>\n{TIP}\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n"
    )
}

/// The workflow as an element of a page, which brings the style: classes `graph`, `box` with `node`, `timer`, `child`,
/// `data` or `stop`, `undo`, `frame`, `line`, `tip`, `start`, `end`, `step`, `detail`, `title`, `label`; with an
/// overlay also `state` and the [class of the mark](super::Mark::class) on the group of each box.
///
/// With an overlay each box has a third line with the sign and the words of its state, and is a link to the element
/// that the mark names. There is one such picture a page.
pub fn embedded(plan: &Plan, overlay: Option<&Overlay>) -> String {
    let (body, size) = draw(plan, overlay);
    let (width, height) = (size.width, size.height);
    let (what, role) = if overlay.is_some() {
        ("with the state of each step", "group")
    } else {
        ("as a picture", "img")
    };
    let label = escape(&format!("Workflow {} {what}", plan.name));
    format!(
        "<svg class=\"graph\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         role=\"{role}\" aria-label=\"{label}\">\n{TIP}\n{body}</svg>\n"
    )
}

const TIP: &str = "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
    markerHeight=\"7\" orient=\"auto\"><path class=\"tip\" d=\"M0 0 8 4 0 8z\"/></marker></defs>";

fn draw(plan: &Plan, overlay: Option<&Overlay>) -> (String, Size) {
    let root = parts(plan);
    let mut page = Page {
        body: String::new(),
        overlay,
    };
    let size = page.measure(&root);
    let title_width = text_width(&plan.name) * 1.25;
    let width = size.width.max(title_width) + 2.0 * MARGIN;
    let top = MARGIN + 26.0;
    let height = top + 2.0 * (14.0 + GAP) + size.height + MARGIN;
    let middle = width / 2.0;

    let _ = writeln!(
        page.body,
        r#"<text class="name" x="{middle:.1}" y="{:.1}">{}</text>"#,
        MARGIN + 8.0,
        escape(&plan.name)
    );
    let _ = writeln!(
        page.body,
        r#"<circle class="start" cx="{middle:.1}" cy="{:.1}" r="7"/>"#,
        top + 7.0
    );
    let first = top + 14.0 + GAP;
    page.arrow(middle, top + 14.0, first);
    page.draw(&root, (middle - size.width / 2.0, first, size.width), false);
    let last = first + size.height;
    page.arrow(middle, last, last + GAP);
    let _ = writeln!(
        page.body,
        r#"<circle class="end" cx="{middle:.1}" cy="{:.1}" r="7"/>"#,
        last + GAP + 7.0
    );
    (page.body, Size { width, height })
}

const STYLE: &str = "\
:root{--page:#fff;--ink:#1f2430;--soft:#5b6474;--line:#8a94a6;--box:#f4f6fa;--frame:#c3cad6;--node:#2f6fde;--timer:#b7791f;\
--child:#7a4fd0;--data:#2b8a6b;--end:#c2453d}\
@media(prefers-color-scheme:dark){:root{--page:#14171e;--ink:#e8ebf2;--soft:#a3adbf;--line:#7d889c;--box:#1e232d;--frame:#414a5b;\
--node:#6ea0ff;--timer:#e0b35c;--child:#b395ff;--data:#62c9a5;--end:#ff8a80}}\
text{font:13px system-ui,sans-serif;fill:var(--ink);text-anchor:middle}\
.name{font-size:17px;font-weight:600}.detail,.label,.title{font-size:11.5px;fill:var(--soft)}.title{text-anchor:start}\
.page{fill:var(--page)}.box{fill:var(--box);stroke-width:1.5}.node{stroke:var(--node)}.timer{stroke:var(--timer)}\
.child{stroke:var(--child)}.data{stroke:var(--data)}.stop{stroke:var(--end)}.undo{fill:none;stroke:var(--line);stroke-dasharray:4 3}\
.frame{fill:none;stroke:var(--frame);stroke-width:1.2}.line{fill:none;stroke:var(--line);stroke-width:1.4}\
.start,.tip{fill:var(--line)}.end{fill:none;stroke:var(--line);stroke-width:3}";

#[derive(Clone, Copy, Default)]
struct Size {
    width: f64,
    height: f64,
}

/// How wide a text comes out, about: wide scripts take two places.
fn text_width(text: &str) -> f64 {
    text.chars()
        .map(|c| if u32::from(c) >= 0x1100 { 14.0 } else { 7.4 })
        .sum()
}

fn undo_width(leaf: &Leaf) -> f64 {
    leaf.undo
        .as_ref()
        .map_or(0.0, |undo| text_width(&shortened(undo, LONGEST_LABEL)) + 2.0 * PADDING)
}

fn label_height(rows: &[(Option<String>, Part)]) -> f64 {
    if rows.iter().any(|(label, _)| label.is_some()) {
        LINE
    } else {
        0.0
    }
}

struct Page<'a> {
    body: String,
    overlay: Option<&'a Overlay>,
}

impl Page<'_> {
    fn box_width(&self, leaf: &Leaf) -> f64 {
        let title = text_width(&shortened(&leaf.title, LONGEST_LABEL));
        let detail = text_width(&shortened(&leaf.detail, LONGEST_LABEL)) * 0.9;
        let least = if self.overlay.is_some() { STATE_WIDTH } else { 110.0 };
        // The words of a state come and go, and the picture keeps its measures: what is longer is shortened.
        (title.max(detail) + 2.0 * PADDING).max(least)
    }

    fn box_height(&self) -> f64 {
        self.overlay.map_or(BOX_HEIGHT, |_| BOX_HEIGHT + STATE_HEIGHT)
    }

    fn measure(&self, part: &Part) -> Size {
        match part {
            Part::Leaf(leaf) => {
                // The box stays in the middle, so what undoes it takes its width on both sides.
                let undo = if leaf.undo.is_some() {
                    2.0 * (undo_width(leaf) + BESIDE)
                } else {
                    0.0
                };
                Size {
                    width: self.box_width(leaf) + undo,
                    height: self.box_height(),
                }
            }
            Part::Column(parts) => {
                let gaps = GAP * parts.len().saturating_sub(1) as f64;
                parts.iter().map(|part| self.measure(part)).fold(
                    Size {
                        width: 60.0,
                        height: gaps,
                    },
                    |sum, size| Size {
                        width: sum.width.max(size.width),
                        height: sum.height + size.height,
                    },
                )
            }
            Part::Row(rows) => {
                let gaps = BESIDE * rows.len().saturating_sub(1) as f64;
                let inner = rows.iter().map(|row| self.measure_row(row)).fold(
                    Size {
                        width: gaps,
                        height: 0.0,
                    },
                    |sum, size| Size {
                        width: sum.width + size.width,
                        height: sum.height.max(size.height),
                    },
                );
                Size {
                    width: inner.width,
                    height: inner.height + 2.0 * GAP + label_height(rows),
                }
            }
            Part::Frame(title, inner) | Part::Optional(title, inner) => {
                let inner = self.measure(inner);
                let title = text_width(&shortened(title, 2 * LONGEST_LABEL)) * 0.9;
                Size {
                    width: inner.width.max(title) + 2.0 * PADDING,
                    height: inner.height + LINE + 2.0 * PADDING,
                }
            }
        }
    }

    fn measure_row(&self, (label, part): &(Option<String>, Part)) -> Size {
        let size = self.measure(part);
        let label = label
            .as_ref()
            .map_or(0.0, |label| text_width(&shortened(label, LONGEST_LABEL)) * 0.9);
        Size {
            width: size.width.max(label),
            height: size.height,
        }
    }

    /// Draws a part at `y`, in the middle of the given width; `passed`: whether something after it has begun.
    fn draw(&mut self, part: &Part, (x, y, width): (f64, f64, f64), passed: bool) {
        let middle = x + width / 2.0;
        match part {
            Part::Leaf(leaf) => self.leaf(leaf, middle, y, passed),
            Part::Column(parts) => {
                let mut y = y;
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        self.arrow(middle, y, y + GAP);
                        y += GAP;
                    }
                    let passed = passed || parts.iter().skip(index + 1).any(|later| self.has_begun(later));
                    self.draw(part, (x, y, width), passed);
                    y += self.measure(part).height;
                }
            }
            Part::Row(rows) => self.row(rows, middle, y, self.measure(part), passed),
            Part::Frame(title, inner) | Part::Optional(title, inner) => {
                let size = self.measure(part);
                let left = middle - size.width / 2.0;
                let _ = writeln!(
                    self.body,
                    r#"<rect class="frame" x="{left:.1}" y="{y:.1}" width="{:.1}" height="{:.1}" rx="10"/>"#,
                    size.width, size.height
                );
                self.text("title", left + PADDING, y + LINE, title, 2 * LONGEST_LABEL);
                self.line(middle, y + LINE + 6.0, middle, y + LINE + PADDING);
                let space = (left + PADDING, y + LINE + PADDING, size.width - 2.0 * PADDING);
                self.draw(inner, space, passed);
                self.line(middle, y + size.height - PADDING, middle, y + size.height);
            }
        }
    }

    /// Whether anything in this part has been asked for.
    fn has_begun(&self, part: &Part) -> bool {
        let Some(overlay) = self.overlay else {
            return false;
        };
        match part {
            Part::Leaf(leaf) => overlay.has_begun(&leaf.place),
            Part::Column(parts) => parts.iter().any(|part| self.has_begun(part)),
            Part::Row(rows) => rows.iter().any(|(_, part)| self.has_begun(part)),
            Part::Frame(_, inner) | Part::Optional(_, inner) => self.has_begun(inner),
        }
    }

    fn row(&mut self, rows: &[(Option<String>, Part)], middle: f64, y: f64, size: Size, passed: bool) {
        let labels = label_height(rows);
        let (top, bottom) = (y + GAP + labels, y + size.height - GAP);
        let mut x = middle - size.width / 2.0;
        for row in rows {
            let own = self.measure_row(row);
            let inner = self.measure(&row.1);
            let centre = x + own.width / 2.0;
            let half = y + GAP / 2.0;
            self.path(
                &format!("M{middle:.1} {y:.1}V{half:.1}H{centre:.1}V{top:.1}"),
                inner.height > 0.0,
            );
            if let Some(label) = &row.0 {
                self.text("label", centre, y + GAP + labels - 8.0, label, LONGEST_LABEL);
            }
            self.draw(&row.1, (x, top, own.width), passed);
            let end = top + inner.height;
            self.path(
                &format!(
                    "M{centre:.1} {end:.1}V{:.1}H{middle:.1}V{:.1}",
                    bottom + GAP / 2.0,
                    bottom + GAP
                ),
                false,
            );
            x += own.width + BESIDE;
        }
    }

    fn leaf(&mut self, leaf: &Leaf, middle: f64, y: f64, passed: bool) {
        let (width, box_height) = (self.box_width(leaf), self.box_height());
        let look = match leaf.look {
            Look::Node => "node",
            Look::Timer => "timer",
            Look::Workflow => "child",
            Look::Data => "data",
            Look::End => "stop",
        };
        let shown = self.overlay.filter(|_| leaf.is_recorded);
        let shown = shown.and_then(|overlay| overlay.shown(&leaf.place, passed));
        let (close, told) = self.open_group(leaf, shown.as_ref());
        let _ = writeln!(
            self.body,
            r#"<title>{}: {}{told}</title><rect class="box {look}" x="{:.1}" y="{y:.1}" width="{width:.1}" height="{box_height}" rx="7"/>"#,
            escape(&leaf.title),
            escape(&leaf.detail),
            middle - width / 2.0
        );
        self.text("step", middle, y + 20.0, &leaf.title, LONGEST_LABEL);
        self.text("detail", middle, y + 36.0, &leaf.detail, LONGEST_LABEL);
        if let Some(shown) = &shown {
            self.state(shown, middle, y + 55.0, width);
        }
        self.body.push_str(close);
        if let Some(undo) = &leaf.undo {
            let left = middle + width / 2.0 + BESIDE;
            let undo_width = undo_width(leaf);
            let height = y + box_height / 2.0;
            self.line(middle + width / 2.0, height, left, height);
            let _ = writeln!(
                self.body,
                r#"<rect class="undo" x="{left:.1}" y="{:.1}" width="{undo_width:.1}" height="28" rx="7"/>"#,
                height - 14.0
            );
            self.text("detail", left + undo_width / 2.0, height + 4.0, undo, LONGEST_LABEL);
        }
    }

    /// Begins the group of a box. Gives what ends it, and what its title says about the state.
    fn open_group(&mut self, leaf: &Leaf, shown: Option<&Shown>) -> (&'static str, String) {
        let Some(shown) = shown else {
            self.body.push_str("<g>");
            return ("</g>\n", String::new());
        };
        let told = format!(": {}", escape(&shown.note));
        let class = shown.mark.class();
        if let Some(anchor) = &shown.anchor {
            let _ = write!(
                self.body,
                r##"<a class="state {class}" href="#{}" aria-label="{}, {}{told}">"##,
                escape(anchor),
                escape(&leaf.title),
                escape(&leaf.detail)
            );
            ("</a>\n", told)
        } else {
            let _ = write!(self.body, r#"<g class="state {class}">"#);
            ("</g>\n", told)
        }
    }

    /// The sign and the words of a state, in the middle of their line.
    fn state(&mut self, shown: &Shown, middle: f64, y: f64, width: f64) {
        // As many characters as there is room for.
        let room = ((width - SIGN - PADDING) / 6.7).max(1.0) as usize;
        let words = shortened(&shown.note, room.min(LONGEST_STATE));
        let words_width = text_width(&words) * 0.88;
        let left = middle - f64::midpoint(words_width, SIGN);
        let _ = writeln!(
            self.body,
            r#"<path class="sign" transform="translate({left:.1} {:.1}) scale(.85)" d="{}"/>"#,
            y - 10.5,
            shown.mark.sign()
        );
        self.text("words", middle + SIGN / 2.0, y, &words, LONGEST_STATE);
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str, most: usize) {
        let text = escape(&shortened(text, most));
        let _ = writeln!(
            self.body,
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#
        );
    }

    fn arrow(&mut self, x: f64, from: f64, to: f64) {
        self.path(&format!("M{x:.1} {from:.1}V{to:.1}"), true);
    }

    fn line(&mut self, x: f64, y: f64, to_x: f64, to_y: f64) {
        self.path(&format!("M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}"), false);
    }

    fn path(&mut self, way: &str, has_tip: bool) {
        let tip = if has_tip { r#" marker-end="url(#tip)""# } else { "" };
        let _ = writeln!(self.body, r#"<path class="line" d="{way}"{tip}/>"#);
    }
}

/// Text in XML: the five marks as entities, and nothing that XML does not allow.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

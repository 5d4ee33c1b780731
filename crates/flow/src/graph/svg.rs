//! SVG: sequences downwards, alternatives side by side, frames around blocks.
//!
//! First every part is measured, then drawn into the space it was given. The picture needs nothing from
//! outside, has no scripts, and follows the reader's light or dark setting.

use std::fmt::Write as _;

use crate::plan::Plan;

use super::{Leaf, Look, Part, parts, shortened};

const LINE: f64 = 18.0;
const BOX_HEIGHT: f64 = 46.0;
const GAP: f64 = 26.0;
const BESIDE: f64 = 24.0;
const PADDING: f64 = 16.0;
const MARGIN: f64 = 20.0;
const LONGEST_LABEL: usize = 44;

/// The workflow as an SVG document of its own.
pub fn svg(plan: &Plan) -> String {
    let root = parts(plan);
    let size = measure(&root);
    let title_width = text_width(&plan.name) * 1.25;
    let width = size.width.max(title_width) + 2.0 * MARGIN;
    let top = MARGIN + 26.0;
    let height = top + 2.0 * (14.0 + GAP) + size.height + MARGIN;
    let middle = width / 2.0;

    let mut page = Page { body: String::new() };
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
    page.draw(&root, middle - size.width / 2.0, first, size.width);
    let last = first + size.height;
    page.arrow(middle, last, last + GAP);
    let _ = writeln!(
        page.body,
        r#"<circle class="end" cx="{middle:.1}" cy="{:.1}" r="7"/>"#,
        last + GAP + 7.0
    );

    let label = escape(&format!("Workflow {}", plan.name));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">{label}</title>\n\
         <style>{STYLE}</style>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path class=\"tip\" d=\"M0 0 8 4 0 8z\"/></marker></defs>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n{}</svg>\n",
        page.body
    )
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

fn box_width(leaf: &Leaf) -> f64 {
    let title = text_width(&shortened(&leaf.title, LONGEST_LABEL));
    let detail = text_width(&shortened(&leaf.detail, LONGEST_LABEL)) * 0.9;
    (title.max(detail) + 2.0 * PADDING).max(110.0)
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

fn measure(part: &Part) -> Size {
    match part {
        Part::Leaf(leaf) => {
            // The box stays in the middle, so what undoes it takes its width on both sides.
            let undo = if leaf.undo.is_some() {
                2.0 * (undo_width(leaf) + BESIDE)
            } else {
                0.0
            };
            Size {
                width: box_width(leaf) + undo,
                height: BOX_HEIGHT,
            }
        }
        Part::Column(parts) => {
            let gaps = GAP * parts.len().saturating_sub(1) as f64;
            parts.iter().map(measure).fold(
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
            let inner = rows.iter().map(measure_row).fold(
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
            let inner = measure(inner);
            let title = text_width(&shortened(title, 2 * LONGEST_LABEL)) * 0.9;
            Size {
                width: inner.width.max(title) + 2.0 * PADDING,
                height: inner.height + LINE + 2.0 * PADDING,
            }
        }
    }
}

fn measure_row((label, part): &(Option<String>, Part)) -> Size {
    let size = measure(part);
    let label = label
        .as_ref()
        .map_or(0.0, |label| text_width(&shortened(label, LONGEST_LABEL)) * 0.9);
    Size {
        width: size.width.max(label),
        height: size.height,
    }
}

struct Page {
    body: String,
}

impl Page {
    /// Draws a part at `y`, in the middle of the given width.
    fn draw(&mut self, part: &Part, x: f64, y: f64, width: f64) {
        let middle = x + width / 2.0;
        match part {
            Part::Leaf(leaf) => self.leaf(leaf, middle, y),
            Part::Column(parts) => {
                let mut y = y;
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        self.arrow(middle, y, y + GAP);
                        y += GAP;
                    }
                    self.draw(part, x, y, width);
                    y += measure(part).height;
                }
            }
            Part::Row(rows) => self.row(rows, middle, y, measure(part)),
            Part::Frame(title, inner) | Part::Optional(title, inner) => {
                let size = measure(part);
                let left = middle - size.width / 2.0;
                let _ = writeln!(
                    self.body,
                    r#"<rect class="frame" x="{left:.1}" y="{y:.1}" width="{:.1}" height="{:.1}" rx="10"/>"#,
                    size.width, size.height
                );
                self.text("title", left + PADDING, y + LINE, title, 2 * LONGEST_LABEL);
                self.line(middle, y + LINE + 6.0, middle, y + LINE + PADDING);
                self.draw(inner, left + PADDING, y + LINE + PADDING, size.width - 2.0 * PADDING);
                self.line(middle, y + size.height - PADDING, middle, y + size.height);
            }
        }
    }

    fn row(&mut self, rows: &[(Option<String>, Part)], middle: f64, y: f64, size: Size) {
        let labels = label_height(rows);
        let (top, bottom) = (y + GAP + labels, y + size.height - GAP);
        let mut x = middle - size.width / 2.0;
        for row in rows {
            let own = measure_row(row);
            let centre = x + own.width / 2.0;
            let half = y + GAP / 2.0;
            self.path(
                &format!("M{middle:.1} {y:.1}V{half:.1}H{centre:.1}V{top:.1}"),
                measure(&row.1).height > 0.0,
            );
            if let Some(label) = &row.0 {
                self.text("label", centre, y + GAP + labels - 8.0, label, LONGEST_LABEL);
            }
            self.draw(&row.1, x, top, own.width);
            let end = top + measure(&row.1).height;
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

    fn leaf(&mut self, leaf: &Leaf, middle: f64, y: f64) {
        let width = box_width(leaf);
        let look = match leaf.look {
            Look::Node => "node",
            Look::Timer => "timer",
            Look::Workflow => "child",
            Look::Data => "data",
            Look::End => "stop",
        };
        let _ = writeln!(
            self.body,
            r#"<g><title>{}: {}</title><rect class="box {look}" x="{:.1}" y="{y:.1}" width="{width:.1}" height="{BOX_HEIGHT}" rx="7"/>"#,
            escape(&leaf.title),
            escape(&leaf.detail),
            middle - width / 2.0
        );
        self.text("step", middle, y + 20.0, &leaf.title, LONGEST_LABEL);
        self.text("detail", middle, y + 36.0, &leaf.detail, LONGEST_LABEL);
        self.body.push_str("</g>\n");
        if let Some(undo) = &leaf.undo {
            let left = middle + width / 2.0 + BESIDE;
            let undo_width = undo_width(leaf);
            let height = y + BOX_HEIGHT / 2.0;
            self.line(middle + width / 2.0, height, left, height);
            let _ = writeln!(
                self.body,
                r#"<rect class="undo" x="{left:.1}" y="{:.1}" width="{undo_width:.1}" height="28" rx="7"/>"#,
                height - 14.0
            );
            self.text("detail", left + undo_width / 2.0, height + 4.0, undo, LONGEST_LABEL);
        }
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

//! `bowline openapi`: the description of the server's API.

use bowline_server::api;

use crate::args::OpenApiArgs;
use crate::exit::Result;

pub(super) fn run(args: &OpenApiArgs) -> Result {
    super::deliver(&format!("{:#}\n", api::routes().document()), args.output.as_deref())
}

//! A paginated API, in each way that APIs paginate: `/items/PAGES/SIZE` has so many pages of so many items, the last of which
//! may be asked for by the number of a page (`page`), of an item (`offset`), or a cursor (`after`). What is not asked for is
//! the first page; behind the last one there are no items.

use std::collections::HashMap;

use serde_json::json;

use super::log::Request;
use super::ok_with;

/// The page that a request asks for.
pub fn page(request: &Request, pages: u64, size: u64) -> Vec<u8> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let query: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let number = |key: &str| query.get(key).map(|text| text.parse::<u64>().unwrap());
    let cursor = query.get("after").filter(|text| !text.is_empty()).map(|text| text[1..].parse().unwrap());
    let this = number("page").or(number("offset").map(|offset| offset / size + 1)).or(cursor).unwrap_or(1);
    let first = (this - 1) * size + 1;
    let ids = if this <= pages { first..first + size } else { 0..0 };
    let item = |id: u64| {
        let host = request.header("host").unwrap();
        json!({ "id": id, "url": format!("http://{host}/ok/{id}"), "updated_at": format!("2026-05-04T03:02:{:02}Z", id % 60) })
    };
    let next = (this < pages).then(|| format!("{path}?page={}", this + 1));
    let link = next.as_ref().map(|next| format!("link: <{path}?page=1>; rel=\"first\", <{next}>; rel=\"next\"\r\n"));
    let cursor = (this < pages).then(|| format!("c{}", this + 1));
    let data: Vec<_> = ids.map(item).collect();
    let page = json!({ "data": data, "next": next, "meta": { "cursor": cursor, "more": this < pages } });
    let headers = format!("content-type: application/json\r\n{}", link.unwrap_or_default());
    ok_with(&headers, page.to_string().as_bytes())
}

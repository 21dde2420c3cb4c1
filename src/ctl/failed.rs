//! The error of a line, in words.

/// The error of a line.
pub(super) struct Failed<'a> {
    pub kind: Option<&'a str>,
    pub status: Option<u64>,
    pub message: Option<&'a str>,
}

impl Failed<'_> {
    /// The kind, and the status of the response, because 500 and 401 have the same kind.
    pub fn what(&self) -> String {
        let status = self.status.map(|status| status.to_string());
        self.kind.map(str::to_owned).into_iter().chain(status).collect::<Vec<_>>().join(" ")
    }

    /// The message, unless the kind and the status say it all.
    pub fn why(&self) -> Option<&str> {
        self.message.filter(|_| self.kind != Some("http_status"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_errors_are_shown_with_their_status_and_others_with_their_message() {
        let answered = Failed { kind: Some("http_status"), status: Some(401), message: Some("the server said 401") };
        assert_eq!((answered.what().as_str(), answered.why()), ("http_status 401", None));
        let open = Failed { kind: Some("circuit_open"), status: None, message: Some("port 1 cannot be reached") };
        assert_eq!((open.what().as_str(), open.why()), ("circuit_open", Some("port 1 cannot be reached")));
        assert_eq!(Failed { kind: None, status: Some(200), message: None }.what(), "200");
    }
}

//! What the manual page says besides the options.

/// Sections in roff, to stand behind those that are made of the command line.
pub const MAN_PAGE_END: &str = r#".SH "EXIT STATUS"
.TP
.B 0
The input ended, or SIGTERM, SIGINT or SIGHUP came, and everything accepted was recorded, or, of a durable source, waits for the next start.
.TP
.B 1
A stage failed (named on stderr), the reader of stdout went away, or a limit of the system was reached. Of
.BR "fetchd ctl" :
the run refuses, or, for
.BR status ,
is not ready.
.TP
.B 2
A usage or configuration error, or something could not be opened or locked; nothing was sent.
.TP
.B 3
With \-\-fail: some outcome was not ok; with \-\-fail\-fast: the first failure cancelled the rest.
.TP
.B 4
The grace period passed, and unfinished lines were canceled, or left for the next start; or only lines of closed hosts are left; or records were not delivered to a webhook.
.TP
.B 69
Of
.BR "fetchd ctl" :
no fetchd listens at the socket.
.TP
.B 130
A second signal: stopped at once.
.SH SIGNALS
.TP
.B SIGTERM, SIGINT
Accept nothing more, finish what is accepted within shutdown.grace, and end; a second one stops at once.
.TP
.B SIGHUP
Load the configuration anew, where fetchd was started with \-c and has no terminal; otherwise the same as SIGTERM.
.TP
.B SIGUSR1
Go on in new output files.
.SH FILES
.TP
.I /run/fetchd/api/api.sock
The socket that
.B fetchd ctl
asks unless \-\-socket or \-c names another one.
"#;

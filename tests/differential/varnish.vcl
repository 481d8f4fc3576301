# The target as it came, by expression.
vcl 4.1;
backend default none;
sub vcl_recv {
    set req.http.X-Read = regsub(req.url, "\?.*$", "");
    if (req.http.host ~ "(?i)^admin\.test(:|$)") { return (synth(200, "host")); }
    if (req.http.X-Read ~ "(?i)^/admin/?$") { return (synth(200, "admin")); }
    if (req.http.X-Read ~ "(?i)^/admin/") { return (synth(200, "below")); }
    if (req.http.X-Read ~ "(?i)^/auth/?$") { return (synth(200, "auth")); }
    if (req.http.X-Read ~ "^/public(/|$)") { return (synth(200, "public")); }
    return (synth(200, "other"));
}
sub vcl_synth {
    set resp.http.X-Handler = resp.reason;
    set resp.http.Content-Length = "0";
    synthetic("");
    return (deliver);
}

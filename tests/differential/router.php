<?php
// The path as PHP's own parser of URLs reads it, by expression.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (!is_string($path)) {
    http_response_code(400);
    return true;
}
$path = rawurldecode($path);
$handler = 'other';
foreach (['admin' => '#^/admin$#', 'below' => '#^/admin/#', 'auth' => '#^/auth$#', 'public' => '#^/public(/|$)#'] as $name => $pattern) {
    if (preg_match($pattern, $path)) {
        $handler = $name;
        break;
    }
}
$host = explode(':', $_SERVER['HTTP_X_FORWARDED_HOST'] ?? $_SERVER['HTTP_HOST'] ?? '')[0];
header('X-Handler: ' . ($host === 'admin.test' ? 'host' : $handler));
header('X-Path: ' . base64_encode($path));
header('X-Method: ' . ($_SERVER['HTTP_X_HTTP_METHOD_OVERRIDE'] ?? $_SERVER['REQUEST_METHOD']));
header('Content-Length: 0');
return true;

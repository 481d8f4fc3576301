# Rack by expressions with line anchors, with method overrides, and Sinatra.
require "base64"
require "rack"
require "sinatra/base"

GUARDED_HOST = "admin.test"

SEEN = lambda do |handler, request|
  {
    "X-Handler" => request.host == GUARDED_HOST ? "host" : handler,
    "X-Path" => Base64.strict_encode64(Rack::Utils.unescape_path(request.path_info)),
    "X-Method" => request.request_method
  }
end

plain = lambda do |environment|
  request = Rack::Request.new(environment)
  handler = case Rack::Utils.unescape_path(request.path_info).b
            when /^\/admin$/ then "admin"
            when /^\/admin\// then "below"
            when /^\/auth$/ then "auth"
            when /\A\/public(\/|\z)/ then "public"
            else "other"
            end
  [200, SEEN.call(handler, request).merge("Content-Length" => "0"), []]
end

class Classic < Sinatra::Base
  set :environment, :production
  set :protection, false
  enable :method_override
  set :show_exceptions, false
  set :logging, false
  answer = ->(name) { proc { headers SEEN.call(name, request); "" } }
  %w[get post put patch delete].each do |verb|
    send(verb, "/admin", &answer.call("admin"))
    send(verb, "/admin/*", &answer.call("below"))
    send(verb, "/auth", &answer.call("auth"))
    send(verb, "/public", &answer.call("public"))
    send(verb, "/public/*", &answer.call("public"))
    send(verb, "*", &answer.call("other"))
  end
  not_found { headers SEEN.call("other", request); "" }
end

classic = Rack::MethodOverride.new(Classic.new)
overriding = Rack::MethodOverride.new(plain)
second = ENV.fetch("PORT1")
# The port that the request came to, whatever its headers say.
run ->(environment) { environment["puma.socket"].local_address.ip_port == second.to_i ? classic.call(environment) : overriding.call(environment) }

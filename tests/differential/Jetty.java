import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import javax.servlet.http.HttpServlet;
import org.eclipse.jetty.server.ForwardedRequestCustomizer;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.AbstractHandler;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/** Servlets by their mappings, and a handler by its target behind the customizer for forwarded headers. */
public class Jetty {
    static void answer(String handler, String path, HttpServletRequest request, HttpServletResponse response) throws IOException {
        if (request.getServerName().equalsIgnoreCase("admin.test")) handler = "host";
        response.setHeader("X-Handler", handler);
        response.setHeader("X-Path", Base64.getEncoder().encodeToString(path.getBytes(StandardCharsets.UTF_8)));
        response.setHeader("X-Method", request.getMethod());
        response.setContentLength(0);
    }

    static class Named extends HttpServlet {
        private final String name;

        Named(String name) {
            this.name = name;
        }

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            String info = request.getPathInfo();
            String path = request.getServletPath() + (info == null ? "" : info);
            answer(name.equals("admin") && info != null ? "below" : name, path, request, response);
        }
    }

    public static void main(String[] arguments) throws Exception {
        ServletContextHandler servlets = new ServletContextHandler();
        servlets.addServlet(new ServletHolder(new Named("admin")), "/admin/*");
        servlets.addServlet(new ServletHolder(new Named("auth")), "/auth");
        servlets.addServlet(new ServletHolder(new Named("public")), "/public/*");
        servlets.addServlet(new ServletHolder(new Named("other")), "/");
        Server first = server(arguments[0], false);
        first.setHandler(servlets);
        first.start();
        Server second = server(arguments[1], true);
        second.setHandler(new AbstractHandler() {
            @Override
            public void handle(String target, Request base, HttpServletRequest request, HttpServletResponse response) throws IOException {
                base.setHandled(true);
                String name = target.equals("/admin") ? "admin" : target.startsWith("/admin/") ? "below" : target.equals("/auth") ? "auth"
                    : target.equals("/public") || target.startsWith("/public/") ? "public" : "other";
                answer(name, target, request, response);
            }
        });
        second.start();
    }

    static Server server(String port, boolean forwarded) {
        Server server = new Server();
        HttpConfiguration configuration = new HttpConfiguration();
        if (forwarded) configuration.addCustomizer(new ForwardedRequestCustomizer());
        ServerConnector connector = new ServerConnector(server, 1, 1, new HttpConnectionFactory(configuration));
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(port));
        connector.setIdleTimeout(60_000);
        server.addConnector(connector);
        return server;
    }
}

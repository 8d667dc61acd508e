// JGit, driven: the command line is that of driving.py beside this file.

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.jar.JarFile;
import org.eclipse.jgit.api.Git;
import org.eclipse.jgit.api.PushCommand;
import org.eclipse.jgit.api.TransportCommand;
import org.eclipse.jgit.lib.Ref;
import org.eclipse.jgit.transport.PushResult;
import org.eclipse.jgit.transport.RefSpec;
import org.eclipse.jgit.transport.RemoteRefUpdate;
import org.eclipse.jgit.transport.TagOpt;
import org.eclipse.jgit.transport.UsernamePasswordCredentialsProvider;

final class JGitClient {
    private static final int REFUSED = 1;
    private static final int CANNOT = 3;
    private static final long YESTERDAY = System.currentTimeMillis() - 86_400_000L;
    private static final String USER = System.getenv().getOrDefault("GUTS_USER", "nobody");
    private static final String TOKEN = System.getenv().getOrDefault("GUTS_TOKEN", "");

    private static final class Cannot extends Exception {
        Cannot(String words) {
            super(words);
        }
    }

    public static void main(String[] words) {
        // Java takes the home of the account, which has settings of its own.
        System.setProperty("user.home", System.getenv().getOrDefault("HOME", "/nonexistent"));
        try {
            run(words[0], Arrays.copyOfRange(words, 1, words.length));
        } catch (Cannot error) {
            end(error.getMessage(), CANNOT);
        } catch (Exception error) {
            end(error.toString(), REFUSED);
        }
    }

    private static void end(String words, int code) {
        System.err.println(words);
        System.exit(code);
    }

    private static void run(String verb, String[] words) throws Exception {
        switch (verb) {
            case "version" -> System.out.println(version());
            case "ls" -> ls(words[0]);
            case "clone" -> copy(words);
            case "partial" -> throw new Cannot("JGit has no partial clone");
            case "fetch" -> fetch(words[0]);
            case "commit" -> commit(words[0], words[1]);
            case "push" -> push(words[0], words[1], Arrays.asList(words).subList(2, words.length));
            default -> throw new IllegalArgumentException(verb);
        }
    }

    /** From the manifest of the jar, which Java does not take for the version of a package. */
    private static String version() throws Exception {
        File jar = new File(Git.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        try (JarFile opened = new JarFile(jar)) {
            return opened.getManifest().getMainAttributes().getValue("Bundle-Version").replaceAll("\\.\\d{12}-r$", "");
        }
    }

    private static <C extends TransportCommand<C, ?>> C known(C command) {
        if (TOKEN.isEmpty()) {
            return command;
        }
        return command.setCredentialsProvider(new UsernamePasswordCredentialsProvider(USER, TOKEN));
    }

    private static void ls(String url) throws Exception {
        for (Ref ref : known(Git.lsRemoteRepository().setRemote(url)).call()) {
            System.out.println(ref.getObjectId().name() + " " + ref.getName());
        }
    }

    private static void copy(String[] words) throws Exception {
        if (words.length > 2) {
            throw new Cannot("JGit of this version has no shallow clone");
        }
        known(Git.cloneRepository().setURI(words[0]).setDirectory(new File(words[1]))).call().close();
        age(words[1]);
    }

    /**
     * As if the packs were not new: within 2.5 s JGit looks for more of them, without a pause, before it opens an
     * object that is in none.
     */
    private static void age(String directory) {
        new File(directory, ".git/objects/pack").setLastModified(YESTERDAY);
    }

    private static void fetch(String directory) throws Exception {
        try (Git git = Git.open(new File(directory))) {
            known(git.fetch().setTagOpt(TagOpt.FETCH_TAGS)).call();
        }
        age(directory);
    }

    private static void commit(String directory, String path) throws Exception {
        try (Git git = Git.open(new File(directory))) {
            git.add().addFilepattern(path).call();
            String mail = USER + "@example.test";
            var made = git.commit().setAuthor(USER, mail).setCommitter(USER, mail).setMessage("by JGit").call();
            System.out.println(made.name());
        }
    }

    private static boolean isSet(String name) {
        return !System.getenv().getOrDefault(name, "").isEmpty();
    }

    private static void push(String directory, String url, List<String> refspecs) throws Exception {
        List<RefSpec> wanted = new ArrayList<>();
        for (String refspec : refspecs) {
            wanted.add(new RefSpec(refspec));
        }
        List<String> refused = new ArrayList<>();
        try (Git git = Git.open(new File(directory))) {
            PushCommand command = git.push().setRemote(url).setRefSpecs(wanted).setAtomic(isSet("GUTS_PUSH_ATOMIC"));
            if (isSet("GUTS_PUSH_OPTION")) {
                command.setPushOptions(List.of(System.getenv("GUTS_PUSH_OPTION")));
            }
            for (PushResult result : known(command).call()) {
                for (RemoteRefUpdate one : result.getRemoteUpdates()) {
                    if (one.getStatus() != RemoteRefUpdate.Status.OK) {
                        refused.add(one.getRemoteName() + ": " + one.getStatus() + " " + one.getMessage());
                    }
                }
            }
        }
        if (!refused.isEmpty()) {
            end(String.join("; ", refused), REFUSED);
        }
    }
}

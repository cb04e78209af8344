//go:build unix

package endtoend

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// buildAge builds age and its helpers from the module that sluice links, in the
// module's own folder, where all that they need is pinned. They are on the PATH
// then.
var buildAge = sync.OnceValues(func() (string, error) {
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "filippo.io/age").Output()
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-C", strings.TrimSpace(string(folder)), "-buildvcs=false", "-o", binaries+"/", "./cmd/age", "./cmd/age-keygen", "./cmd/age-plugin-batchpass")
	build.Env = append(os.Environ(), "GOTOOLCHAIN=local")
	out, err := build.CombinedOutput()
	return string(out), err
})

// withAge makes a world with the age program, a key and its recipient.
func withAge(t *testing.T, w *world) {
	out, err := buildAge()
	require.NoError(t, err, out)
	w.run("age-keygen -o key 2>/dev/null; age-keygen -y key > recipient")
	w.set("TO", strings.TrimSpace(w.run("cat recipient")))
}

func TestAge_ReadsWhatSluiceEncryptsAndSluiceReadsWhatAgeEncrypts(t *testing.T) {
	need(t, "zstd", "zstd")
	need(t, "ssh-keygen", "openssh-client")
	w := newWorld(t)
	withAge(t, w)
	w.run("age-keygen -pq -o pqkey 2>/dev/null; age-keygen -y pqkey > pqrecipient; ssh-keygen -q -t ed25519 -N '' -f ssh; ssh-keygen -q -t rsa -N '' -f rsa")
	for _, size := range []string{"0", "1", "65536", "3000000"} {
		w.set("SIZE", size)
		w.run(`head -c $SIZE /dev/urandom > data`)
		for recipient, key := range map[string]string{"--encrypt-to $TO": "key", "-R pqrecipient": "pqkey", "-R ssh.pub": "ssh", "-R rsa.pub": "rsa"} {
			ours := strings.Replace(recipient, "-R", "--recipients-file", 1)
			w.run("sluice put -z " + ours + " b2://demo-bucket/ours < data; sluice get --encrypted b2://demo-bucket/ours | age -d -i " + key + " | zstd -dc | cmp - data")
			theirs := strings.Replace(recipient, "--encrypt-to", "-r", 1)
			w.run("age -e " + theirs + " data | sluice put b2://demo-bucket/theirs; sluice get --identity " + key + " b2://demo-bucket/theirs | cmp - data")
			w.run("rm -f back; sluice get --identity " + key + " --decompress -o back b2://demo-bucket/ours; cmp back data")
		}
	}
	w.run("sluice put --encrypt-to $TO --recipients-file ssh.pub b2://demo-bucket/x < data; sluice verify --identity ssh b2://demo-bucket/x")
	code, _, stderr := w.try("sluice get --identity pqkey b2://demo-bucket/x > back")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "which needs the key of an age1... recipient, or the SSH key, ssh-ed25519, that it was encrypted to")
	w.requireUnfinished(0)
}

func TestAge_ReadsAndWritesFilesWithAPassphrase(t *testing.T) {
	w := newWorld(t)
	withAge(t, w)
	w.set("AGE_PASSPHRASE", "correct horse battery staple")
	w.run(`printf '%s\n' "$AGE_PASSPHRASE" > passphrase; echo wrong > wrong; head -c 100000 /dev/urandom > data`)
	w.run("sluice put --passphrase-file passphrase b2://demo-bucket/ours < data; sluice get --encrypted b2://demo-bucket/ours | age -d -j batchpass | cmp - data")
	w.run("age -e -j batchpass data | sluice put b2://demo-bucket/theirs; sluice get --passphrase-file passphrase b2://demo-bucket/theirs | cmp - data")
	code, _, stderr := w.try("sluice verify --passphrase-file wrong b2://demo-bucket/ours")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "another passphrase")
}

// What a broken pipe or a killed producer cuts short is not stored, encrypted or not.
func TestAge_AProducerThatDiesLeavesNoEncryptedFile(t *testing.T) {
	w := newWorld(t)
	withAge(t, w)
	code, _, stderr := w.try(`sluice put -z --encrypt-to $TO --part-size 1MiB b2://demo-bucket/x -- bash -c 'head -c 5000000 /dev/urandom; kill -9 $$'`)
	require.Equal(t, 3, code, stderr)
	w.requireNothingLeft("x")
}

func TestADatabaseComesBackCompressedAndEncrypted(t *testing.T) {
	p := newPostgres(t)
	withAge(t, p.world)
	want := p.sums("bench")
	p.run("sluice put -z --encrypt-to $TO --part-size 1MiB b2://demo-bucket/db.zst.age -- pg_dump -Fc -Z0 bench")
	require.Equal(t, "age-encryption.org/v1\n", p.run("sluice get --length 22 --encrypted b2://demo-bucket/db.zst.age"))

	second := p.another()
	second.run("createdb restored; sluice get --identity key --decompress b2://demo-bucket/db.zst.age | pg_restore --exit-on-error -d restored")
	require.Equal(t, want, second.sums("restored"))
	code, _, stderr := second.try("createdb none; sluice get b2://demo-bucket/db.zst.age | pg_restore --exit-on-error -d none")
	require.NotZero(t, code)
	require.Contains(t, stderr, "the file is encrypted: --identity")
}

package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// keyPair is a recipient and the file of the key that decrypts what is encrypted to it.
type keyPair struct{ recipient, file string }

// written is the path of a new file with that text.
func written(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func newKey(t *testing.T) keyPair {
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return keyPair{identity.Recipient().String(), written(t, "# a comment\n\n"+identity.String()+"\r\n")}
}

func newHybridKey(t *testing.T) keyPair {
	identity, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	return keyPair{identity.Recipient().String(), written(t, identity.String())}
}

func newSSHKey(t *testing.T) keyPair {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(private, "a comment")
	require.NoError(t, err)
	key, err := ssh.NewPublicKey(public)
	require.NoError(t, err)
	return keyPair{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), written(t, string(pem.EncodeToMemory(block)))}
}

// The sizes around a chunk of age's.
var encryptedSizes = []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 3_000_000}

func TestPut_EncryptsToEachRecipient(t *testing.T) {
	one, two, pq, key := newKey(t), newKey(t), newHybridKey(t), newSSHKey(t)
	list := written(t, "# the team\n\n"+two.recipient+"\r\n  "+key.recipient+" someone@example.com\n")
	tr := readableTrial(t, nil)
	for _, n := range encryptedSizes {
		data := noise(n)
		tr.stores(data, "--encrypt-to", one.recipient, "--recipients-file", list, "mem://x")
		require.True(t, isEncrypted(tr.stored("x")))
		for _, k := range []keyPair{one, two, key} {
			require.Equal(t, exitDone, tr.again().run("get", "--identity", k.file, "mem://x"), tr.stderr())
			require.True(t, bytes.Equal(data, tr.stdout.Bytes()))
			require.Contains(t, tr.stderr(), ", and decrypted, ")
		}
	}
	tr.stores([]byte("post-quantum"), "--encrypt-to", pq.recipient, "mem://x")
	require.Equal(t, exitDone, tr.again().run("get", "--identity", one.file, "--identity", pq.file, "mem://x"), tr.stderr())
	require.Equal(t, "post-quantum", tr.stdout.String())
}

// What put encrypts with a passphrase takes a second to decrypt, and minutes with the race
// detector: see package endtoend.
func TestGet_DecryptsWithAPassphrase(t *testing.T) {
	recipient, err := age.NewScryptRecipient("correct horse battery staple")
	require.NoError(t, err)
	recipient.SetWorkFactor(4)
	r, err := age.EncryptReader(strings.NewReader("text"), recipient)
	require.NoError(t, err)
	stored, err := io.ReadAll(r)
	require.NoError(t, err)
	tr := readableTrial(t, stored)
	require.Equal(t, exitDone, tr.again().run("get", "--passphrase-file", written(t, "correct horse battery staple\n"), "mem://x"), tr.stderr())
	require.Equal(t, "text", tr.stdout.String())
	require.Equal(t, exitFailed, tr.again().run("get", "--passphrase-file", written(t, "wrong"), "mem://x"))
	require.Contains(t, tr.stderr(), "which needs another passphrase")
	require.Equal(t, exitFailed, tr.again().run("get", "--identity", newKey(t).file, "mem://x"))
	require.Contains(t, tr.stderr(), "which needs a passphrase, of --passphrase-file")
	require.Empty(t, tr.stdout.Bytes())
}

func TestPut_CompressesThenEncrypts(t *testing.T) {
	key := newKey(t)
	data := bytes.Repeat([]byte("line of text\n"), 200_000)
	tr := readableTrial(t, nil)
	tr.stores(data, "-z", "--encrypt-to", key.recipient, "mem://x")
	require.Less(t, len(tr.stored("x")), len(data)/10, "encrypted bytes would not shrink")

	identities, err := readIdentities(key.file)
	require.NoError(t, err)
	plain, err := age.Decrypt(bytes.NewReader(tr.stored("x")), identities...)
	require.NoError(t, err)
	d, err := zstd.NewReader(plain)
	require.NoError(t, err)
	defer d.Close()
	got, err := io.ReadAll(d)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))

	path := filepath.Join(t.TempDir(), "out")
	for _, output := range [][]string{nil, {"-o", path}} {
		require.Equal(t, exitDone, tr.again().run(append([]string{"get", "--identity", key.file, "--decompress", "mem://x"}, output...)...), tr.stderr())
		if output == nil {
			require.True(t, bytes.Equal(data, tr.stdout.Bytes()))
		}
	}
	got, err = os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	requireOnly(t, path)
}

func TestPut_ContentTypeSaysWhatIsStored(t *testing.T) {
	key := newKey(t)
	for flags, want := range map[string]string{
		"":                                   "",
		"-z":                                 "application/zstd",
		"--encrypt-to " + key.recipient:      "application/x-age-encryption",
		"-z --encrypt-to " + key.recipient:   "application/x-age-encryption",
		"-z --content-type application/x-my": "application/x-my",
	} {
		tr := readableTrial(t, nil)
		tr.stores([]byte("text"), append(strings.Fields(flags), "mem://x")...)
		f, err := tr.store.Stat(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, want, f.ContentType, flags)
	}
	tr := newTrial(t) // a store without content types
	tr.sys.schemes[0].flags = nil
	tr.stdin(nil)
	require.Equal(t, exitDone, tr.run("-z", "mem://x"), tr.stderr())
}

// The encrypted stream must not have an end that age takes for one.
func TestPut_NeverFinishesAnEncryptedStreamWhoseSourceFailed(t *testing.T) {
	key := newKey(t)
	for _, n := range encryptedSizes {
		for _, z := range []string{"-z=false", "-z"} {
			tr := newTrial(t)
			tr.stdin(nil)
			require.Equal(t, exitCommand, tr.run(args(z, "--encrypt-to", key.recipient, "mem://x", "--",
				"sh", "-c", fmt.Sprintf("head -c %d /dev/zero; exit 1", n))...), tr.stderr())
			tr.requireNothing()
		}
		for _, cause := range []error{errors.New("broken"), io.ErrUnexpectedEOF, fmt.Errorf("wrapped: %w", io.EOF)} {
			e := encryption{to: []string{key.recipient}}
			require.NoError(t, e.parse())
			r, err := age.EncryptReader(io.MultiReader(bytes.NewReader(noise(n)), iotest.ErrReader(cause)), e.recipients...)
			require.NoError(t, err)
			sent, err := io.ReadAll(r)
			require.ErrorIs(t, err, cause)
			_, err = r.Read(make([]byte, 1))
			require.ErrorIs(t, err, cause, "it stays failed")

			d := decryption{files: []string{key.file}}
			require.NoError(t, d.parse())
			plain, _, err := d.decrypt(bytes.NewReader(sent))
			if err == nil {
				_, err = io.ReadAll(plain)
			}
			require.Error(t, err, "what was sent until then is no whole file")
		}
	}
}

// A source that returns an error with its last bytes, and one that yields a byte at a time.
func TestPut_EncryptsWhateverTheSourceReturnsAtOnce(t *testing.T) {
	key := newKey(t)
	e, d := encryption{to: []string{key.recipient}}, decryption{files: []string{key.file}}
	require.NoError(t, e.parse())
	require.NoError(t, d.parse())
	data := noise(64<<10 + 1)
	for _, source := range []io.Reader{iotest.DataErrReader(bytes.NewReader(data)), iotest.OneByteReader(bytes.NewReader(data))} {
		r, err := age.EncryptReader(source, e.recipients...)
		require.NoError(t, err)
		plain, encrypted, err := d.decrypt(iotest.HalfReader(r))
		require.NoError(t, err)
		require.True(t, encrypted)
		got, err := io.ReadAll(plain)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
	}
	zero := testutil.ReaderFunc(func([]byte) (int, error) { return 0, io.ErrNoProgress })
	r, err := age.EncryptReader(zero, e.recipients...)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestPut_EncryptedUploadThatFailsLeavesNothingToResume(t *testing.T) {
	tr := newTrial(t, faults.Fail(nil, faults.OnPart(1)))
	tr.stdin(noise(3_000_000))
	require.Equal(t, exitFailed, tr.run(args("--encrypt-to", newKey(t).recipient, "mem://x")...))
	tr.requireNothing()
	require.NotContains(t, tr.stderr(), "to resume it")
}

func TestPut_RejectsWhatIsNoRecipient(t *testing.T) {
	key, pq := newKey(t), newHybridKey(t)
	text, err := os.ReadFile(key.file)
	require.NoError(t, err)
	secretKey := strings.TrimSpace(string(text[strings.Index(string(text), "AGE-"):]))
	for want, flags := range map[string][]string{
		"this is a secret key; age-keygen -y prints its recipient":   {"--encrypt-to", secretKey},
		"this is a secret key; age-keygen -y prints its recipient ":  {"--recipients-file", key.file},
		"this is not a recipient":                                    {"--encrypt-to", "bob"},
		"malformed recipient":                                        {"--encrypt-to", key.recipient + "x"},
		"malformed SSH recipient":                                    {"--encrypt-to", "ssh-ed25519 AAAA"},
		"it has no recipient":                                        {"--recipients-file", written(t, "# none\n")},
		"no such file or directory":                                  {"--recipients-file", filepath.Join(t.TempDir(), "none")},
		"can't mix post-quantum and classic recipients":              {"--encrypt-to", key.recipient, "--encrypt-to", pq.recipient},
		"goes with no recipients":                                    {"--encrypt-to", key.recipient, "--passphrase-file", written(t, "x")},
		"is empty":                                                   {"--passphrase-file", written(t, "\n")},
		"has more than one line":                                     {"--passphrase-file", written(t, "one\ntwo\n")},
		"another stream of the same bytes each time":                 {"--encrypt-to", key.recipient, "--resume"},
		"another stream of the same bytes each time ":                {"--encrypt-to", key.recipient, "--keep-on-error"},
		"--size is the number of bytes uploaded, which is unknown":   {"--encrypt-to", key.recipient, "--size", "5"},
		"--size is the number of bytes uploaded, which is unknown ":  {"-z", "--size", "5"},
		"--large-file-sha1 is of the bytes uploaded":                 {"-z", "--large-file-sha1", hexSHA1(nil)},
		"--encrypt-to needs a value, and --json follows":             {"--encrypt-to", "--json"},
		"no DEST is given: \"mem://x\" is the value of --encrypt-to": {"--encrypt-to"},
	} {
		tr := newTrial(t)
		require.Equal(t, exitUsage, tr.run(append(flags, "mem://x")...), want)
		require.Contains(t, tr.stderr(), strings.TrimSpace(want))
		require.NotContains(t, tr.stderr(), secretKey)
		tr.requireNothing()
	}
}

func TestGet_EncryptedFileWithoutAKeyIsAnError(t *testing.T) {
	key := newKey(t)
	tr := readableTrial(t, nil)
	tr.stores(noise(2_000_000), "--encrypt-to", key.recipient, "mem://x")
	stored := tr.stored("x")
	path := filepath.Join(t.TempDir(), "out")
	for _, flags := range [][]string{nil, {"-o", path}, {"--decompress"}, {"--decompress=auto", "-o", path}, {"--length", "100"}, {"--identity", newKey(t).file}} {
		require.Equal(t, exitFailed, tr.again().run(append([]string{"get", "mem://x"}, flags...)...), "%v", flags)
		if flags != nil && flags[0] == "--identity" {
			require.Contains(t, tr.stderr(), "does not decrypt the file, which needs the key of an age1... recipient")
		} else {
			require.Contains(t, tr.stderr(), "the file is encrypted: --identity or --passphrase-file decrypts it")
		}
		require.Empty(t, tr.stdout.Bytes())
		left, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Empty(t, left)
	}

	require.Equal(t, exitDone, tr.again().run("get", "--encrypted", "mem://x"), tr.stderr())
	require.True(t, bytes.Equal(stored, tr.stdout.Bytes()))
	require.Contains(t, tr.stderr(), "not decrypted, ")
	require.Equal(t, exitDone, tr.again().run("get", "--encrypted", "-o", path, "mem://x"), tr.stderr())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(stored, got))
	require.Equal(t, exitDone, tr.again().run("get", "--offset", "1000", "--length", "100", "mem://x"), tr.stderr())
	require.True(t, bytes.Equal(stored[1000:1100], tr.stdout.Bytes()), "parts are of what is stored")

	require.Equal(t, exitDone, tr.again().run("verify", "mem://x"), "the key need not be there")
	require.Contains(t, tr.stderr(), ", and not decrypted, ")
	require.Equal(t, exitDone, tr.again().run("verify", "--identity", key.file, "mem://x"), tr.stderr())
	require.Contains(t, tr.stderr(), ", and decrypted, ")
}

func TestGet_RejectsAFileThatIsNotEncryptedWhereAKeyIsGiven(t *testing.T) {
	for _, n := range []int{0, 5, 1_000_000} {
		tr := readableTrial(t, noise(n))
		require.Equal(t, exitFailed, tr.run("get", "--identity", newKey(t).file, "mem://x"))
		require.Contains(t, tr.stderr(), "the file is not encrypted")
		require.Empty(t, tr.stdout.Bytes())
	}
}

func TestGet_RejectsADamagedEncryptedFile(t *testing.T) {
	key := newKey(t)
	tr := readableTrial(t, nil)
	tr.stores(noise(200_000), "--encrypt-to", key.recipient, "mem://x")
	whole := tr.stored("x")
	const chunk = 64<<10 + 16
	body := len(whole) - 200_000 - 4*16 // after header and nonce
	flipped := func(at int) []byte {
		data := bytes.Clone(whole)
		data[at] ^= 1
		return data
	}
	swapped := bytes.Clone(whole)
	copy(swapped[body:], whole[body+chunk:body+2*chunk])
	copy(swapped[body+chunk:], whole[body:body+chunk])
	for name, data := range map[string][]byte{
		"cut in the header": whole[:60], "cut after the header": whole[:body], "cut in the nonce": whole[:body-3],
		"cut between chunks": whole[:body+2*chunk], "cut in a chunk": whole[:body+2*chunk+100], "cut by a byte": whole[:len(whole)-1],
		"the end of another chunk": append(bytes.Clone(whole[:body+2*chunk]), whole[len(whole)-100:]...), "a byte more": append(bytes.Clone(whole), 0),
		"header changed": flipped(body - 40), "nonce changed": flipped(body - 1), "content changed": flipped(body + chunk + 5), "chunks swapped": swapped,
		"only the first line": []byte("age-encryption.org/v1\n"), "another version": []byte("age-encryption.org/v9\n" + strings.Repeat("x", 1000)),
		"a long line": []byte("age-encryption.org/v1\n-> " + strings.Repeat("x", 3<<20)),
	} {
		tr.stores(data, "mem://bad")
		path := filepath.Join(t.TempDir(), "out")
		require.Equal(t, exitFailed, tr.again().run("get", "--json", "--identity", key.file, "-o", path, "mem://bad"), name)
		require.Less(t, len(tr.stderr()), 2000, name)
		require.NotEmpty(t, tr.object()["error"])
		require.NotContains(t, tr.object()["error"], "panic")
		left, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Empty(t, left, name)
		require.Equal(t, exitFailed, tr.again().run("verify", "--identity", key.file, "mem://bad"), name)
	}
}

func TestGet_RejectsBadKeys(t *testing.T) {
	key := newKey(t)
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("x"))
	require.NoError(t, err)
	const torn = "AGE-SECRET-KEY-1QQQQ"
	for want, flags := range map[string][]string{
		"no such file or directory":             {"--identity", filepath.Join(t.TempDir(), "none")},
		"no identities found":                   {"--identity", written(t, "# none")},
		"malformed secret key":                  {"--identity", written(t, torn)},
		"unknown identity type":                 {"--identity", written(t, key.recipient)},
		"the keys in it are encrypted":          {"--identity", written(t, "age-encryption.org/v1\n")},
		"passphrase protected":                  {"--identity", written(t, string(pem.EncodeToMemory(block)))},
		"need the whole file, and --offset":     {"--identity", key.file, "--offset", "1"},
		"--encrypted writes the file as it":     {"--identity", key.file, "--encrypted"},
		"and --decompress needs it decrypted":   {"--encrypted", "--decompress"},
		"has more than 65536 bytes":             {"--passphrase-file", written(t, strings.Repeat("x", 70_000))},
		"--identity needs a value, and --json ": {"--identity", "--json"},
	} {
		tr := readableTrial(t, nil)
		require.Equal(t, exitUsage, tr.run(append(append([]string{"get"}, flags...), "mem://x")...), want)
		require.Contains(t, tr.stderr(), want)
		require.NotContains(t, tr.stderr(), torn)
	}
}

// A store can write any header. One that would have scrypt take gigabytes is an error.
func TestGet_RejectsAPassphraseThatCostsTooMuch(t *testing.T) {
	tr := readableTrial(t, nil)
	tr.stores([]byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 22\n"+strings.Repeat("A", 43)+"\n--- "+strings.Repeat("A", 43)+"\n"+strings.Repeat("x", 100)), "mem://x")
	require.Equal(t, exitFailed, tr.run("get", "--passphrase-file", written(t, "x"), "mem://x"))
	require.Contains(t, tr.stderr(), "work factor too large")
}

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each test is a failure that users of another program reported.

// A dump that failed became a backup, which looked like the one before (restic#4251).
func TestReports_AFailedDumpReplacesNoEncryptedBackup(t *testing.T) {
	key := newKey(t)
	tr := readableTrial(t, nil)
	tr.stores([]byte("yesterday"), "-z", "--encrypt-to", key.recipient, "mem://db")
	require.Equal(t, exitCommand, tr.again().run("-z", "--encrypt-to", key.recipient, "mem://db", "--", "sh", "-c", "echo half; exit 1"))
	require.Equal(t, exitDone, tr.again().run("get", "--identity", key.file, "--decompress", "mem://db"), tr.stderr())
	require.Equal(t, "yesterday", tr.stdout.String())
}

// Large streams of unknown length came out damaged on B2, by how they met the ends of parts
// (rclone#7367), and of an encrypted one only the first part was encrypted (s3cmd#351).
func TestReports_AnEncryptedStreamMeetsTheEndsOfPartsAnywhere(t *testing.T) {
	tr, _ := newB2Trial(t, nil)
	key := newKey(t)
	tr.stores(nil, "--encrypt-to", key.recipient, "b2://test-bucket/x")
	require.Equal(t, exitDone, tr.again().run("get", "--encrypted", "b2://test-bucket/x"))
	header := tr.stdout.Len() - 16 // the empty chunk has a tag
	const part, chunk = 1 << 20, 64 << 10
	for _, stored := range []int{part - 1, part, part + 1, 3*part - 1, 3 * part, 3*part + 1} {
		chunks := (stored - header + chunk + 15) / (chunk + 16)
		data := noise(stored - header - 16*chunks)
		tr.again().stores(data, "--encrypt-to", key.recipient, "--json", "b2://test-bucket/x")
		require.Equal(t, exitDone, tr.again().run("get", "--json", "--identity", key.file, "-o", filepath.Join(t.TempDir(), "x"), "b2://test-bucket/x"), tr.stderr())
		require.EqualValues(t, stored, tr.object()["size"])
		require.Equal(t, exitDone, tr.again().run("get", "--identity", key.file, "b2://test-bucket/x"), tr.stderr())
		require.True(t, bytes.Equal(data, tr.stdout.Bytes()), "%d bytes stored", stored)
	}
}

// A decompressor that asked for more at the end of a chunk had the decryption panic
// (wal-g#1226).
func TestReports_ADecompressorReadsToTheEndOfAnEncryptedChunk(t *testing.T) {
	const chunk = 64 << 10
	compressed := func(n int) int {
		r, err := compress(t.Context(), bytes.NewReader(noise(n)), defaultLevel)
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		return len(data)
	}
	n := chunk - (compressed(chunk) - chunk)
	require.Equal(t, chunk, compressed(n))
	key := newKey(t)
	tr := readableTrial(t, nil)
	tr.stores(noise(n), "-z", "--encrypt-to", key.recipient, "mem://x")
	require.Equal(t, exitDone, tr.again().run("get", "--identity", key.file, "--decompress", "mem://x"), tr.stderr())
	require.True(t, bytes.Equal(noise(n), tr.stdout.Bytes()))
}

// A key of a wrong length was padded or cut without a word, and the backup could not be decrypted
// (wal-g#1086); one that did not exist was noticed in the middle of a run (wal-g#980).
func TestReports_AKeyThatIsIncompleteIsRejectedBeforeCMDIsRun(t *testing.T) {
	key := newKey(t)
	for _, recipient := range []string{key.recipient[:len(key.recipient)-1], key.recipient[:20], key.recipient + "q", strings.ToUpper(key.recipient)} {
		tr := newTrial(t)
		started := filepath.Join(t.TempDir(), "started")
		require.Equal(t, exitUsage, tr.run("--encrypt-to", recipient, "mem://x", "--", "touch", started), recipient)
		require.NoFileExists(t, started)
	}
	text, err := os.ReadFile(key.file)
	require.NoError(t, err)
	tr := readableTrial(t, nil)
	tr.stores([]byte("text"), "--encrypt-to", key.recipient, "mem://x")
	cut := written(t, strings.TrimSpace(string(text))[:60])
	require.Equal(t, exitUsage, tr.again().run("get", "--identity", cut, "mem://x"))
	require.Equal(t, exitDone, tr.again().run("get", "--identity", written(t, string(text)+"\n\n"), "mem://x"), tr.stderr())
}

// Of a secret in several lines only the first one was used for backups, and only the last one for
// restores (mail-in-a-box#1810, which runs duplicity).
func TestReports_APassphraseOfSeveralLinesIsRejected(t *testing.T) {
	for _, text := range []string{"one\ntwo\n", "one\r\ntwo", "one\n\ntwo"} {
		file := written(t, text)
		tr := readableTrial(t, nil)
		require.Equal(t, exitUsage, tr.run("--passphrase-file", file, "mem://y"))
		require.Contains(t, tr.stderr(), "has more than one line")
		require.Equal(t, exitUsage, tr.again().run("get", "--passphrase-file", file, "mem://x"))
	}
	for _, text := range []string{"one", "one\n", "one\r\n"} {
		passphrase, err := readPassphrase(written(t, text))
		require.NoError(t, err)
		require.Equal(t, "one", passphrase)
	}
}

// Where encryption was turned on later, the error about an older file was of its header, as if it
// were damaged (pgbackrest#2632).
func TestReports_AFileFromBeforeEncryptionIsToldApart(t *testing.T) {
	key := newKey(t)
	tr := readableTrial(t, []byte("of last year"))
	require.Equal(t, exitFailed, tr.run("get", "--identity", key.file, "mem://x"))
	require.Contains(t, tr.stderr(), "the file is not encrypted")
	require.NotContains(t, tr.stderr(), "damaged")
	require.Equal(t, exitDone, tr.again().run("get", "mem://x"))
	require.Equal(t, "of last year", tr.stdout.String())
}

// Damage and a wrong key had the same error (rclone#2290).
func TestReports_DamageIsNoWrongKey(t *testing.T) {
	key := newKey(t)
	tr := readableTrial(t, nil)
	tr.stores(noise(200_000), "--encrypt-to", key.recipient, "mem://x")
	damaged := tr.stored("x")
	damaged[150_000] ^= 1
	tr.stores(damaged, "mem://y")
	require.Equal(t, exitFailed, tr.again().run("get", "--identity", key.file, "mem://y"))
	require.Contains(t, tr.stderr(), "may be corrupted")
	require.Equal(t, exitFailed, tr.again().run("get", "--identity", newKey(t).file, "mem://x"))
	require.Contains(t, tr.stderr(), "what is given does not decrypt the file")
}

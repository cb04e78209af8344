//go:build unix

package endtoend

import (
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// relay passes connections on to a server. Of what the server answers it passes on so many bytes,
// over all connections together, and then no more.
type relay struct {
	address string
	left    atomic.Int64
	passed  atomic.Int64
}

func newRelay(t *testing.T, server string) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	r := &relay{address: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(client, server)
		}
	}()
	return r
}

func (r *relay) serve(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(upstream, client) // until the client closes it, or is killed
		close(gone)
		upstream.Close()
	}()
	for buffer := make([]byte, 32<<10); ; {
		n, err := upstream.Read(buffer)
		if r.left.Add(-int64(n)) < 0 {
			<-gone
			return
		}
		if _, e := client.Write(buffer[:n]); err != nil || e != nil {
			return
		}
		r.passed.Add(int64(n))
	}
}

func TestGet_ThatIsKilledIsResumedIntoItsFile(t *testing.T) {
	w := newS3World(t)
	withAge(t, w)
	w.run("head -c 40000000 /dev/urandom > data; sluice put --path-style s3://files/plain < data; sluice put --path-style --encrypt-to $TO s3://files/encrypted < data")
	server, err := url.Parse(w.variable("AWS_ENDPOINT_URL_S3"))
	require.NoError(t, err)
	r := newRelay(t, server.Host)
	for name, command := range map[string]string{
		"plain":     "sluice get -o back s3://files/plain",
		"encrypted": "sluice get --encrypted -o back s3://files/encrypted",
	} {
		command += " -q --path-style --memory 16MiB --endpoint http://" + r.address
		r.left.Store(20 << 20)
		c := w.command("exec " + command)
		require.NoError(t, c.Start())
		record := filepath.Join(w.dir, ".sluice-progress-back")
		require.Eventually(t, func() bool {
			text, err := os.ReadFile(record)
			return err == nil && strings.Count(string(text), "\n") > 1
		}, 2*time.Minute, 20*time.Millisecond, "no range was recorded")
		require.NoError(t, c.Process.Kill())
		require.Error(t, c.Wait())
		require.Equal(t, syscall.SIGKILL, c.ProcessState.Sys().(syscall.WaitStatus).Signal())
		require.NoFileExists(t, filepath.Join(w.dir, "back"))
		recorded := int64(0)
		text, err := os.ReadFile(record)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			var e struct{ Offset, Size int64 }
			if json.Unmarshal([]byte(line), &e) == nil && strings.HasSuffix(line, "\n") && !strings.Contains(line, "sluice_partial") {
				recorded += e.Size
			}
		}
		require.Positive(t, recorded)

		r.left.Store(1 << 40)
		r.passed.Store(0)
		w.run(command)
		require.Less(t, r.passed.Load(), 40_100_000-recorded+1<<20, "what was recorded is not fetched again")
		if name == "encrypted" {
			w.run("age -d -i key back | cmp - data")
		} else {
			w.run("cmp back data")
		}
		left, err := filepath.Glob(filepath.Join(w.dir, ".sluice-*"))
		require.NoError(t, err)
		require.Empty(t, left)
		w.run("rm back")
	}
}

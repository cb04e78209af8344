package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// anySHA1 is a digest that was not computed. The server believes it.
var anySHA1 = strings.Repeat("0", 40)

// Post sends parts of these sizes in bytes over so many connections, each a
// bare socket: what remains of an upload when nothing is hashed and no writer
// is around it. begin is called when the first byte may go out.
func Post(ctx context.Context, a Address, sizes []int64, connections int, begin func()) error {
	rt := &http.Transport{TLSClientConfig: a.TLSConfig()}
	defer rt.CloseIdleConnections()
	w, err := Login(ctx, rt, a, "raw")
	if err != nil {
		return err
	}
	// Each connection sends from memory of its own, as a stream's parts lie in
	// theirs: what all send from would stay in the cache.
	page := NewPage()
	memory := make([][]byte, connections)
	for i := range memory {
		memory[i] = make([]byte, slices.Max(sizes))
		for at := 0; at < len(memory[i]); at += copy(memory[i][at:], page) {
		}
	}
	begin()
	var taken atomic.Int64
	var group errgroup.Group
	for _, data := range memory {
		group.Go(func() error {
			at, token, err := w.UploadURL(ctx)
			if err != nil {
				return err
			}
			c, err := dial(ctx, at, a.TLSConfig())
			if err != nil {
				return err
			}
			defer c.Close()
			return postParts(c, at, token, func() (int64, []byte) {
				number := taken.Add(1)
				if number > int64(len(sizes)) {
					return 0, nil
				}
				return number, data[:sizes[number-1]]
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return w.Cancel(ctx)
}

func dial(ctx context.Context, at string, config *tls.Config) (net.Conn, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	if config == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", u.Host)
}

// postParts posts what next gives until it gives number 0.
func postParts(c net.Conn, at, token string, next func() (number int64, part []byte)) error {
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	answers := bufio.NewReader(c)
	for {
		number, part := next()
		if number == 0 {
			return nil
		}
		_, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nX-Bz-Part-Number: %d\r\n"+
			"X-Bz-Content-Sha1: %s\r\nContent-Length: %d\r\n\r\n", u.Path, u.Host, token, number, anySHA1, len(part))
		if err != nil {
			return err
		}
		if _, err := c.Write(part); err != nil {
			return err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("part %d: %s: %s", number, resp.Status, text)
		}
	}
}

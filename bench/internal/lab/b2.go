package lab

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net"
	"time"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// Link is a B2 server and the way to it. It is comparable.
type Link struct {
	TLS     bool          `json:",omitempty"`
	Latency time.Duration `json:",omitempty"` // before every answer
	// bytes per second of each connection; 0 is no limit
	Bandwidth int64 `json:",omitempty"`
	// Lanes is how many connections at that bandwidth the line carries: more of
	// them share it. 0 is any number.
	Lanes int `json:",omitempty"`
	// Most is how many uploads at once the server takes; it refuses one more by
	// 503. 0 is any number.
	Most int `json:",omitempty"`
	// MinPart is the smallest part in bytes that the server takes; 0 is the service's own.
	MinPart int64 `json:",omitempty"`
}

// listen is how the server at the end of the link listens.
func (l Link) listen() func(network, address string) (net.Listener, error) {
	open := net.Listen
	if l.Lanes > 0 {
		open = (&line{each: l.Bandwidth, all: l.Bandwidth * int64(l.Lanes)}).listen
	}
	if l.Most > 0 {
		open = (&doorman{most: int64(l.Most), latency: l.Latency, listen: open}).before
	}
	return open
}

// PlayB2 is the role of a B2 server. It drops what it receives and believes the
// digests it is told, so that it costs as little as a server can.
func PlayB2(_ context.Context, spec json.RawMessage) (any, error) {
	var link Link
	if err := json.Unmarshal(spec, &link); err != nil {
		return nil, err
	}
	o := &b2test.Options{
		TLS: link.TLS, Latency: link.Latency, Bandwidth: link.Bandwidth, Discard: true, TrustSHA1: true, MaxAuthorize: -1,
		MinPartSize: link.MinPart, Listen: link.listen(),
	}
	if link.Lanes > 0 {
		o.Bandwidth = 0 // the line sees to it
	}
	if link.Most > 0 {
		o.Latency = 0 // the doorman does
	}
	server, err := b2test.Start(o)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	a := Address{URL: server.URL(), KeyID: server.KeyID(), Key: server.Key(), Bucket: server.Bucket()}
	if c := server.Certificate(); c != nil {
		a.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return nil, a.Announce()
}

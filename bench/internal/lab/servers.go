package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Address is what a client needs to know of a server.
type Address struct {
	URL, KeyID, Key, Bucket string
	Certificate             []byte // PEM, nil for a plain server
}

// TLSConfig trusts the server; nil for a plain one.
func (a Address) TLSConfig() *tls.Config {
	if a.Certificate == nil {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Certificate)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// Announce is what a server's role ends with: it tells [Serve] the address, and
// returns when stdin ends.
func (a Address) Announce() error {
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// Servers starts servers as they are needed; each goes on until Stop. The zero value has none.
type Servers struct {
	services  []*Service
	addresses map[string]Address // by what the server is
}

// At returns the server that plays a role by a spec.
func (s *Servers) At(ctx context.Context, role string, spec any) (Address, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return Address{}, err
	}
	key := fmt.Sprint(role, " ", string(text))
	if a, ok := s.addresses[key]; ok {
		return a, nil
	}
	cmd, err := Command(ctx, role, spec)
	if err != nil {
		return Address{}, err
	}
	var a Address
	service, err := Serve(cmd, &a)
	if err != nil {
		return Address{}, err
	}
	if s.addresses == nil {
		s.addresses = make(map[string]Address)
	}
	s.services = append(s.services, service)
	s.addresses[key] = a
	return a, nil
}

// Stop ends all of them. Their ends say nothing of what was measured.
func (s *Servers) Stop() {
	for _, service := range s.services {
		_ = service.Stop()
	}
}

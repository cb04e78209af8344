package httpx

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// CheckURL parses a URL that credentials are going to be sent to. It is https,
// or plain http on this machine; plain http elsewhere only if allowed. It names
// no user.
func CheckURL(raw string, plainHTTP bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is not a URL with a host", CleanURL(raw))
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("URL %s carries a user", CleanURL(raw))
	case u.Scheme == "https":
	case u.Scheme != "http":
		return nil, fmt.Errorf("URL %s: scheme is neither https nor http", CleanURL(raw))
	case !plainHTTP && !loopback(u.Hostname()):
		return nil, fmt.Errorf("URL %s: plain http would show the credentials to the network; use https", CleanURL(raw))
	}
	return u, nil
}

// CheckEndpoint is CheckURL for a URL that paths are put behind, so it has
// neither query nor fragment.
func CheckEndpoint(raw string, plainHTTP bool) (*url.URL, error) {
	u, err := CheckURL(raw, plainHTTP)
	if err == nil && (u.RawQuery != "" || u.Fragment != "") {
		return nil, fmt.Errorf("URL %s has a query or a fragment", CleanURL(raw))
	}
	return u, err
}

// Hosts are those that requests may go to whose URLs a service answers.
type Hosts struct {
	plainHTTP bool     // also where the network sees it
	local     bool     // the service is on this machine itself
	domains   []string // empty: any
}

// NewHosts returns the hosts that a service at the endpoint, which was checked,
// may send requests to: none of this machine if it is elsewhere, and none outside
// the domains if there are any.
func NewHosts(endpoint string, plainHTTP bool, domains []string) Hosts {
	u, err := url.Parse(endpoint)
	return Hosts{plainHTTP: plainHTTP, local: err == nil && own(u.Hostname()), domains: domains}
}

// Check parses a URL that a service answered.
func (h Hosts) Check(raw string) (*url.URL, error) {
	u, err := CheckURL(raw, h.plainHTTP)
	if err != nil {
		return nil, err
	}
	host := strings.ToLower(u.Hostname())
	in := func(domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }
	switch {
	case own(host) && !h.local:
		return nil, fmt.Errorf("URL %s: a service elsewhere must not send requests to this machine", CleanURL(raw))
	case len(h.domains) > 0 && !slices.ContainsFunc(h.domains, in):
		return nil, fmt.Errorf("URL %s is outside the service's domains, %s", CleanURL(raw), strings.Join(h.domains, " and "))
	}
	return u, nil
}

// loopback reports whether a host is certainly this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// own reports whether a host may be this machine by its name or address, or is
// one of the addresses that only it and its own links see: those of a cloud's
// metadata are such.
func own(host string) bool {
	host, _, _ = strings.Cut(host, "%") // the zone of an IPv6 address
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if ip := net.ParseIP(name); ip != nil {
		return ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast()
	}
	// Some resolvers read 127.1, 0x7f.1 and 2130706433 as 127.0.0.1. No domain
	// ends in a number.
	last := name[strings.LastIndexByte(name, '.')+1:]
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || last != "" && last[0] >= '0' && last[0] <= '9'
}

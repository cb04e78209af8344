package localserver

import "net"

// Loopback reports whether only this machine can reach a server that listens at
// an address. What is no address can be reached by nothing.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err != nil || host == "localhost" || ip != nil && ip.IsLoopback()
}

// SPDX-License-Identifier: ISC

// Go's own FastCGI server, net/http/fcgi, with the client libraries that Debian has: redigo and pgx.
//
//	go-peer SOCKET
//
// The environment's BENCH_REDIS and BENCH_PG say where the back ends are.
package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"strconv"

	"github.com/gomodule/redigo/redis"
	"github.com/jackc/pgx/v4/pgxpool"
)

// Connections to each back end, that requests wait for: with one for each request it serves fewer.
const connections = 16

var (
	cache *redis.Pool
	db    *pgxpool.Pool
)

func answer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	io.WriteString(w, body)
}

func fixed(w http.ResponseWriter, r *http.Request) {
	answer(w, "Hello, World!")
}

func get(w http.ResponseWriter, r *http.Request) {
	conn := cache.Get()
	value, err := redis.String(conn.Do("GET", r.URL.Query().Get("key")))
	conn.Close()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	answer(w, value)
}

// pgx prepares a statement on each connection when it is first used there.
func row(w http.ResponseWriter, r *http.Request) {
	var id, number int32

	wanted, err := strconv.Atoi(r.URL.Query().Get("id"))
	if err == nil {
		err = db.QueryRow(context.Background(), "SELECT id, randomnumber FROM world WHERE id = $1", wanted).
			Scan(&id, &number)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	answer(w, strconv.Itoa(int(id))+" "+strconv.Itoa(int(number)))
}

func main() {
	path := os.Getenv("BENCH_REDIS")
	cache = &redis.Pool{
		MaxIdle:   connections,
		MaxActive: connections,
		Wait:      true,
		Dial:      func() (redis.Conn, error) { return redis.Dial("unix", path) },
	}
	config, err := pgxpool.ParseConfig(os.Getenv("BENCH_PG"))
	if err == nil {
		config.MaxConns = connections
		db, err = pgxpool.ConnectConfig(context.Background(), config)
	}
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/fixed", fixed)
	mux.HandleFunc("/redis", get)
	mux.HandleFunc("/row", row)
	log.Fatal(fcgi.Serve(listener, mux))
}

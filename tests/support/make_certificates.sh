#!/bin/sh
# Keys and certificates for tests, in the folder named: an authority, two servers' and several clients', one of them a stranger's.
# Each NAME.pem has its NAME.key.
set -eu
mkdir -p "$1"
cd "$1"
authority() { # name
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 30 -subj "/CN=$1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}
issue() { # name, authority, names, days, key, option of the key
  openssl req -new -newkey "$5" ${6:+-pkeyopt "$6"} -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1"
  printf 'subjectAltName=%s\n' "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -out "$1.pem" -days "$4" -extfile "$1.ext"
  rm "$1.csr" "$1.ext"
}
{
  authority authority
  authority stranger
  curve=ec_paramgen_curve:P-256
  issue server authority DNS:tripline.test,IP:10.86.0.2 30 ec $curve
  issue renewed authority DNS:tripline.test,IP:10.86.0.2 20 ec $curve
  issue rsa authority DNS:tripline.test,IP:10.86.0.2 30 rsa:2048
  issue client authority DNS:collector.test 30 ec $curve
  issue other authority DNS:other.test 30 ec $curve
  issue unknown stranger DNS:collector.test 30 ec $curve
} 2>log.txt >&2 || { cat log.txt >&2; exit 1; }
chmod 600 ./*.key

<?php
// The child keeps the connection, and the connection its prepared statement.  Whether it has the statement is found
// by using it, as to ask would be a query more.  (PDO would prepare and deallocate it in each request.)
$db = pg_pconnect('host=@PGHOST@ port=@PGPORT@ user=postgres dbname=postgres');
$id = [(int)$_GET['id']];
$rows = @pg_execute($db, 'row', $id);
if (!$rows) {
	pg_prepare($db, 'row', 'SELECT id, randomnumber FROM world WHERE id = $1');
	$rows = pg_execute($db, 'row', $id);
}
$row = pg_fetch_row($rows);
header('Content-Type: text/plain');
echo $row[0], ' ', $row[1];

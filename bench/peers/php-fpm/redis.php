<?php
// phpredis; the child keeps the connection from one request to the next.
$redis = new Redis();
$redis->pconnect('@REDIS@');
header('Content-Type: text/plain');
echo $redis->get($_GET['key']);
